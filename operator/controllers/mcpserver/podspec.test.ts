import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { input as inputOf, UNGUARDED } from './builders.ts';
import { deployment, wantedReplicas } from './deployment.ts';
import type { ChildInput } from './input.ts';
import { podTemplate } from './podspec.ts';

/** The part of the pod that is the server's; the guard's is in guard.test.ts. */
const input = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) => inputOf({ ...UNGUARDED, ...spec }, changes);
const template = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) => podTemplate(input(spec, changes));
const pod = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) => {
  const { spec: made } = template(spec, changes);
  if (made === undefined) throw new Error('no pod');
  return made;
};
const container = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) => {
  const [server] = pod(spec, changes).containers;
  if (server === undefined) throw new Error('no container');
  return server;
};

describe('the pod of a server', () => {
  it('is hardened by default', () => {
    expect(template()).toMatchInlineSnapshot(`
      {
        "metadata": {
          "labels": {
            "app.kubernetes.io/component": "server",
            "app.kubernetes.io/instance": "github",
            "app.kubernetes.io/managed-by": "mcp-fleet-operator",
            "app.kubernetes.io/name": "mcp-server",
            "app.kubernetes.io/part-of": "mcp-fleet",
            "mcp-fleet.dev/server": "github",
          },
        },
        "spec": {
          "automountServiceAccountToken": false,
          "containers": [
            {
              "env": [
                {
                  "name": "HOME",
                  "value": "/tmp",
                },
              ],
              "image": "example.com/github:1",
              "lifecycle": {
                "preStop": {
                  "sleep": {
                    "seconds": 5,
                  },
                },
              },
              "name": "server",
              "ports": [
                {
                  "containerPort": 8080,
                  "name": "mcp",
                  "protocol": "TCP",
                },
              ],
              "readinessProbe": {
                "failureThreshold": 3,
                "periodSeconds": 5,
                "successThreshold": 1,
                "tcpSocket": {
                  "port": 8080,
                },
                "timeoutSeconds": 1,
              },
              "resources": {
                "limits": {
                  "memory": "512Mi",
                },
                "requests": {
                  "cpu": "50m",
                  "memory": "64Mi",
                },
              },
              "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {
                  "drop": [
                    "ALL",
                  ],
                },
                "readOnlyRootFilesystem": true,
              },
              "startupProbe": {
                "failureThreshold": 30,
                "periodSeconds": 2,
                "successThreshold": 1,
                "tcpSocket": {
                  "port": 8080,
                },
                "timeoutSeconds": 1,
              },
              "terminationMessagePolicy": "FallbackToLogsOnError",
              "volumeMounts": [
                {
                  "mountPath": "/tmp",
                  "name": "tmp",
                },
              ],
            },
          ],
          "enableServiceLinks": false,
          "securityContext": {
            "fsGroup": 65532,
            "runAsGroup": 65532,
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": {
              "type": "RuntimeDefault",
            },
          },
          "serviceAccountName": "github",
          "terminationGracePeriodSeconds": 45,
          "topologySpreadConstraints": [
            {
              "labelSelector": {
                "matchLabels": {
                  "mcp-fleet.dev/server": "github",
                },
              },
              "matchLabelKeys": [
                "pod-template-hash",
              ],
              "maxSkew": 1,
              "topologyKey": "kubernetes.io/hostname",
              "whenUnsatisfiable": "ScheduleAnyway",
            },
            {
              "labelSelector": {
                "matchLabels": {
                  "mcp-fleet.dev/server": "github",
                },
              },
              "matchLabelKeys": [
                "pod-template-hash",
              ],
              "maxSkew": 1,
              "topologyKey": "topology.kubernetes.io/zone",
              "whenUnsatisfiable": "ScheduleAnyway",
            },
          ],
          "volumes": [
            {
              "emptyDir": {
                "sizeLimit": "64Mi",
              },
              "name": "tmp",
            },
          ],
        },
      }
    `);
  });

  it('never has a token without kubernetesAccess', () => {
    const { automountServiceAccountToken, volumes } = pod();
    expect(automountServiceAccountToken).toBe(false);
    expect(JSON.stringify(volumes)).not.toContain('serviceAccountToken');
  });

  it('has an expiring token in the container of the server alone', () => {
    const access = {
      kubernetesAccess: { clusterRoles: ['view'], tokenExpirationSeconds: 3600, audience: 'x' },
      package: { npm: { name: 'a', version: '1.0.0' } },
    };
    const { volumes = [], initContainers = [], automountServiceAccountToken } = pod(access);
    expect(automountServiceAccountToken).toBe(false);
    expect(volumes.find(({ name }) => name === 'kubernetes-access')?.projected?.sources).toEqual([
      { serviceAccountToken: { path: 'token', expirationSeconds: 3600, audience: 'x' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
    ]);
    expect(container(access).volumeMounts).toContainEqual({
      name: 'kubernetes-access',
      mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
      readOnly: true,
    });
    expect(JSON.stringify(initContainers)).not.toContain('kubernetes-access');
  });

  const cases: Record<string, [found: () => unknown, expected: unknown]> = {
    'leaves user and group to the platform where it assigns them': [
      () => pod({}, { settings: { ...input().settings, assignIDs: false } }).securityContext,
      { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    ],
    'takes each given field of the security context': [
      () => [
        pod({ podSecurityContext: { runAsUser: 1000 } }).securityContext,
        container({ securityContext: { readOnlyRootFilesystem: false } }).securityContext,
      ],
      [
        { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 65_532, fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
        { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: false },
      ],
    ],
    'keeps a HOME that is given': [() => container({ env: [{ name: 'HOME', value: '/data' }] }).env, [{ name: 'HOME', value: '/data' }]],
    'leaves /tmp to whoever mounts something there': [
      () => pod({ mounts: [{ mountPath: '/tmp', emptyDir: { sizeLimit: '2048Mi' } }] }).volumes,
      [{ name: 'mount-tmp-e9671acd', emptyDir: { sizeLimit: '2Gi' } }],
    ],
    'mounts read-only unless it is an emptyDir or told otherwise': [
      () =>
        container({
          mounts: [
            { mountPath: '/etc/app', configMap: { name: 'app' } },
            { mountPath: '/data', persistentVolumeClaim: { claimName: 'data' }, readOnly: false },
            { mountPath: '/cache', emptyDir: {} },
          ],
        }).volumeMounts?.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
      [
        ['/tmp', undefined],
        ['/etc/app', true],
        ['/data', undefined],
        ['/cache', undefined],
      ],
    ],
    'writes quantities as the API server does': [
      () => container({ resources: { requests: { cpu: '1000m', memory: '0.5Gi' }, limits: { memory: '1024Mi' } } }).resources,
      { requests: { cpu: '1', memory: '512Mi' }, limits: { memory: '1Gi' } },
    ],
    'does not ask for more than a given limit': [
      () => container({ resources: { limits: { cpu: '10m', memory: '32Mi' } } }).resources,
      { requests: {}, limits: { cpu: '10m', memory: '32Mi' } },
    ],
    'replaces probes one by one': [
      () => {
        const { startupProbe, livenessProbe, readinessProbe } = container({
          probes: { liveness: { httpGet: { path: '/healthz', port: 8080 } } },
        });
        return [startupProbe?.failureThreshold, livenessProbe, readinessProbe?.tcpSocket];
      },
      [30, { httpGet: { path: '/healthz', port: 8080 } }, { port: 8080 }],
    ],
    'gives a package five minutes to start': [
      () => container({ package: { npm: { name: 'a', version: '1.0.0' } } }).startupProbe?.failureThreshold,
      150,
    ],
    'drains before it ends': [
      () => [pod({ rollout: { drainSeconds: 60 } }).terminationGracePeriodSeconds, container().lifecycle],
      [75, { preStop: { sleep: { seconds: 5 } } }],
    ],
    'carries the digest of what it reads': [
      () => template({}, { configDigest: 'abc' }).metadata?.annotations,
      { 'mcp-fleet.dev/config-digest': 'abc' },
    ],
    'has the labels and annotations that are asked for': [
      () => {
        const { metadata } = template({ labels: { team: 'x', 'app.kubernetes.io/name': 'mine' }, annotations: { a: 'b' } });
        return [metadata?.labels?.['team'], metadata?.labels?.['app.kubernetes.io/name'], metadata?.annotations];
      },
      ['x', 'mcp-server', { a: 'b' }],
    ],
    'is spread as asked': [
      () =>
        pod({ scheduling: { topologySpreadConstraints: [{ topologyKey: 'rack', maxSkew: 2, whenUnsatisfiable: 'DoNotSchedule' }] } })
          .topologySpreadConstraints,
      [
        {
          labelSelector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } },
          topologyKey: 'rack',
          maxSkew: 2,
          whenUnsatisfiable: 'DoNotSchedule',
        },
      ],
    ],
    'takes a podTemplate over everything': [
      () => {
        const { containers, priority } = pod({
          podTemplate: {
            spec: {
              priority: 5,
              containers: [
                { name: 'server', image: 'other:2' },
                { name: 'logs', image: 'x:1', stdin: false },
              ],
            },
          },
        });
        return [priority, containers.map(({ name, image }) => `${name} ${image}`), 'stdin' in (containers[1] ?? {})];
      },
      [5, ['server other:2', 'logs x:1'], false],
    ],
  };
  for (const [name, [found, expected]] of Object.entries(cases)) it(name, () => expect(found()).toEqual(expected));

  it('does not change with the number of replicas', () => {
    expect(template({ replicas: 5 }, { replicas: 5 })).toEqual(template());
  });
});

describe('the installer of a package', () => {
  const npm = { package: { npm: { name: '@scope/thing', version: '1.2.3' }, args: ['/data'] } };
  const installer = (spec: Partial<MCPServerSpecInput>, changes: Partial<ChildInput> = {}) => {
    const [first] = pod(spec, changes).initContainers ?? [];
    if (first === undefined) throw new Error('no installer');
    return first;
  };
  const variable = (name: string, spec: Partial<MCPServerSpecInput>, changes: Partial<ChildInput> = {}) =>
    installer(spec, changes).env?.find((entry) => entry.name === name)?.value;
  const registries = {
    settings: { ...input().settings, registries: { npm: 'http://npm.example.com/', pypi: 'http://pypi.example.com/simple/' } },
  };

  it('hands over one program, which the server runs', () => {
    expect(container(npm)).toMatchObject({ image: 'node:24-slim', command: ['/opt/mcp-package/run'], args: ['/data'] });
    expect(container(npm).volumeMounts).toContainEqual({ name: 'package', mountPath: '/opt/mcp-package', readOnly: true });
    expect(installer(npm).volumeMounts).toEqual([{ name: 'package', mountPath: '/opt/mcp-package' }]);
    expect(pod(npm).volumes).toContainEqual({ name: 'package', emptyDir: { sizeLimit: '2Gi' } });
  });

  const cases: Record<string, [found: () => unknown, expected: unknown]> = {
    'names the exact npm package': [() => variable('PACKAGE', npm), '@scope/thing@1.2.3'],
    'names the exact Python package': [
      () => variable('PACKAGE', { package: { pypi: { name: 'mcp[cli]', version: '1.0' } } }),
      'mcp[cli]==1.0',
    ],
    'starts the console script of the same name': [
      () => variable('PROGRAM', { package: { pypi: { name: 'mcp[cli]', version: '1.0' } } }),
      'mcp',
    ],
    'starts the console script that is named': [
      () => variable('PROGRAM', { package: { pypi: { name: 'a', version: '1.0', entrypoint: 'b' } } }),
      'b',
    ],
    'asks the public registry by default': [() => variable('NPM_CONFIG_REGISTRY', npm), undefined],
    'asks the registry of the operator': [() => variable('NPM_CONFIG_REGISTRY', npm, registries), 'http://npm.example.com/'],
    'asks the index of the operator': [
      () => variable('UV_INDEX_URL', { package: { pypi: { name: 'a', version: '1.0' } } }, registries),
      'http://pypi.example.com/simple/',
    ],
    'asks the registry of the server first': [
      () => variable('NPM_CONFIG_REGISTRY', { ...npm, env: [{ name: 'NPM_CONFIG_REGISTRY', value: 'http://mine/' }] }, registries),
      'http://mine/',
    ],
    'gets the environment of the server': [
      () => variable('NODE_AUTH_TOKEN', { ...npm, env: [{ name: 'NODE_AUTH_TOKEN', value: 'x' }] }),
      'x',
    ],
    'keeps its own home': [() => variable('HOME', { ...npm, env: [{ name: 'HOME', value: '/nowhere' }] }), '/opt/mcp-package/.tmp'],
    'runs in the image that is named': [
      () => installer({ package: { npm: { name: 'a', version: '1.0.0' }, image: 'mine:1' } }).image,
      'mine:1',
    ],
  };
  for (const [name, [found, expected]] of Object.entries(cases)) it(name, () => expect(found()).toBe(expected));
});

describe('the Deployment', () => {
  it('rolls one pod at a time by default', () => {
    expect(deployment(input())?.spec).toMatchObject({
      replicas: 1,
      selector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: 300,
    });
  });

  it('leaves replicas to an autoscaler', () => {
    expect('replicas' in (deployment(input({}, { replicas: undefined }))?.spec ?? {})).toBe(false);
  });

  const replicas: Record<string, [spec: Partial<MCPServerSpecInput>, expected: number | undefined]> = {
    'those of the spec': [{ replicas: 3 }, 3],
    'none while suspended': [{ replicas: 3, suspend: true }, 0],
    'those of the autoscaler': [{ replicas: 3, autoscaling: { maxReplicas: 5, cpuUtilization: 50 } }, undefined],
    'none while suspended, autoscaler or not': [{ suspend: true, autoscaling: { maxReplicas: 5, cpuUtilization: 50 } }, 0],
  };
  for (const [name, [spec, expected]] of Object.entries(replicas))
    it(`has ${name}`, () => expect(wantedReplicas(input(spec).server)).toBe(expected));
});
