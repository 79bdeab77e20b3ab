import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { children } from './children.ts';
import { input } from './builders.ts';
import type { ChildInput } from './input.ts';

const made = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) => children(input(spec, changes)).flat();
const names = (spec: Partial<MCPServerSpecInput> = {}, changes: Partial<ChildInput> = {}) =>
  made(spec, changes).map(
    ({ kind, metadata }) => `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`,
  );

const always = ['ServiceAccount agents/github', 'NetworkPolicy agents/github', 'Deployment agents/github', 'Service agents/github'];
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];

describe('children', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, names: readonly string[], changes?: Partial<ChildInput>]> = {
    'are four at least': [{}, always],
    'leave out the ServiceAccount where one is named': [
      { serviceAccount: { name: 'mine' } },
      always.filter((name) => !name.startsWith('ServiceAccount')),
    ],
    'make the ServiceAccount for an empty name': [{ serviceAccount: { name: '' } }, always],
    'leave out the NetworkPolicy where somebody else manages it': [
      { network: { managed: false } },
      always.filter((name) => !name.startsWith('NetworkPolicy')),
    ],
    'have a PodDisruptionBudget from two pods': [{ replicas: 2 }, [...always, 'PodDisruptionBudget agents/github']],
    'have none for one pod, even where it is asked for': [{ replicas: 1, disruptionBudget: { maxUnavailable: 1 } }, always],
    'have none while suspended': [{ replicas: 2, suspend: true }, always],
    'have an autoscaler, and a budget by its least number': [
      { autoscaling: { minReplicas: 2, maxReplicas: 5, cpuUtilization: 70 } },
      [...always, 'HorizontalPodAutoscaler agents/github', 'PodDisruptionBudget agents/github'],
    ],
    'have a Role and what binds it': [
      { kubernetesAccess: { rules, clusterRoles: ['view'] } },
      [
        'ServiceAccount agents/github',
        'NetworkPolicy agents/github',
        'Role agents/github',
        'Deployment agents/github',
        'Service agents/github',
        'RoleBinding agents/github',
        'RoleBinding agents/github:view',
      ],
    ],
    'have the same rights in other namespaces': [
      { kubernetesAccess: { rules, namespaces: ['two', 'one', 'agents'] } },
      [
        'ServiceAccount agents/github',
        'NetworkPolicy agents/github',
        'Role agents/github',
        'Role one/mcp-fleet:agents:github',
        'Role two/mcp-fleet:agents:github',
        'Deployment agents/github',
        'Service agents/github',
        'RoleBinding agents/github',
        'RoleBinding one/mcp-fleet:agents:github',
        'RoleBinding two/mcp-fleet:agents:github',
      ],
    ],
    'have cluster-wide rights instead': [
      { kubernetesAccess: { rules, clusterRoles: ['view'], clusterWide: true, namespaces: ['one'] } },
      [
        'ServiceAccount agents/github',
        'NetworkPolicy agents/github',
        'ClusterRole mcp-fleet:agents:github',
        'Deployment agents/github',
        'Service agents/github',
        'ClusterRoleBinding mcp-fleet:agents:github',
        'ClusterRoleBinding mcp-fleet:agents:github:view',
      ],
    ],
    'have an Ingress': [{ expose: { ingress: { host: 'x.example.com' } } }, [...always, 'Ingress agents/github']],
    'have an HTTPRoute and a PodMonitor where those are known': [
      { expose: { httpRoute: { parentRefs: [{ name: 'public' }] } }, telemetry: { podMonitor: { enabled: true } } },
      [...always, 'HTTPRoute agents/github', 'PodMonitor agents/github'],
    ],
    'have neither where they are not': [
      { expose: { httpRoute: { parentRefs: [{ name: 'public' }] } }, telemetry: { podMonitor: { enabled: true } } },
      always,
      { has: { httpRoutes: false, podMonitors: false } },
    ],
    'are a Service and its surroundings for a server that runs elsewhere': [
      { tunnel: { peer: 'edge', namespace: 'tools', name: 'x' } },
      always.filter((name) => !name.startsWith('Deployment')),
    ],
  };
  for (const [name, [spec, expected, changes]] of Object.entries(cases)) it(name, () => expect(names(spec, changes)).toEqual(expected));

  it('carry the recommended labels, and neither labels nor annotations of the server', () => {
    for (const child of made({ kubernetesAccess: { rules, namespaces: ['one'] }, labels: { team: 'x' } })) {
      expect(child.metadata.labels).toEqual({
        'app.kubernetes.io/name': 'mcp-server',
        'app.kubernetes.io/instance': 'github',
        'app.kubernetes.io/component': 'server',
        'app.kubernetes.io/managed-by': 'mcp-fleet-operator',
        'app.kubernetes.io/part-of': 'mcp-fleet',
        'mcp-fleet.dev/server': 'github',
      });
      expect(child.metadata.annotations).toBeUndefined();
    }
  });

  it('are the same bytes for the same server', () => {
    const spec = { replicas: 3, kubernetesAccess: { rules, namespaces: ['b', 'a'] }, annotations: { b: '1', a: '2' } };
    expect(JSON.stringify(made(spec))).toBe(
      JSON.stringify(made({ ...spec, kubernetesAccess: { rules, namespaces: ['a', 'b'] }, annotations: { a: '2', b: '1' } })),
    );
  });
});

describe('the autoscaler', () => {
  it('looks at the container of the server alone, in canonical order', () => {
    const [hpa] = made({
      autoscaling: { maxReplicas: 4, cpuUtilization: 70, memoryUtilization: 80, behavior: { scaleDown: { tolerance: '0.10' } } },
    }).filter(({ kind }) => kind === 'HorizontalPodAutoscaler');
    expect(hpa).toMatchObject({
      spec: {
        minReplicas: 1,
        maxReplicas: 4,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'github' },
        metrics: [
          {
            type: 'ContainerResource',
            containerResource: { name: 'memory', container: 'server', target: { type: 'Utilization', averageUtilization: 80 } },
          },
          {
            type: 'ContainerResource',
            containerResource: { name: 'cpu', container: 'server', target: { type: 'Utilization', averageUtilization: 70 } },
          },
        ],
        behavior: { scaleDown: { tolerance: '100m' } },
      },
    });
  });
});

describe('the autoscaler by requests', () => {
  it('looks at the counter of the guards first, as autoscaling/v1 gives it back, with the number as the API server writes it', () => {
    const [hpa] = made({ autoscaling: { maxReplicas: 4, cpuUtilization: 70, requestsPerSecond: 2000 } }).filter(
      ({ kind }) => kind === 'HorizontalPodAutoscaler',
    );
    expect((hpa as { spec?: { metrics?: unknown[] } }).spec?.metrics).toEqual([
      {
        type: 'Pods',
        pods: { metric: { name: 'mcp_fleet_guard_requests_per_second' }, target: { type: 'AverageValue', averageValue: '2k' } },
      },
      {
        type: 'ContainerResource',
        containerResource: { name: 'cpu', container: 'server', target: { type: 'Utilization', averageUtilization: 70 } },
      },
    ]);
  });
});

describe('the bindings', () => {
  it('name the ServiceAccount that the pods run as', () => {
    const [binding] = made({ serviceAccount: { name: 'mine' }, kubernetesAccess: { rules, namespaces: ['one'] } }).filter(
      ({ kind, metadata }) => kind === 'RoleBinding' && metadata.namespace === 'one',
    );
    expect(binding).toMatchObject({
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'mcp-fleet:agents:github' },
      subjects: [{ kind: 'ServiceAccount', name: 'mine', namespace: 'agents' }],
    });
  });
});

describe('the exposure', () => {
  it('of a route below a prefix shows the server its own path', () => {
    const [route] = made({
      expose: {
        service: { port: 8000 },
        httpRoute: { parentRefs: [{ name: 'public', namespace: 'gateways' }], hostnames: ['a.example.com'], path: '/x' },
      },
    }).filter(({ kind }) => kind === 'HTTPRoute');
    expect(route).toMatchObject({
      spec: {
        parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'public', namespace: 'gateways' }],
        hostnames: ['a.example.com'],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/x' } }],
            filters: [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } }],
            backendRefs: [{ group: '', kind: 'Service', name: 'github', port: 8000, weight: 1 }],
          },
        ],
      },
    });
  });

  it('of an Ingress has TLS where a Secret is named', () => {
    const [ingress] = made({
      expose: { ingress: { className: 'nginx', host: 'a.example.com', tlsSecretName: 'a-tls', annotations: { k: 'v' } } },
    }).filter(({ kind }) => kind === 'Ingress');
    expect(ingress).toMatchObject({
      metadata: { annotations: { k: 'v' } },
      spec: {
        ingressClassName: 'nginx',
        tls: [{ hosts: ['a.example.com'], secretName: 'a-tls' }],
        rules: [
          {
            host: 'a.example.com',
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'github', port: { name: 'mcp' } } } }] },
          },
        ],
      },
    });
  });
});
