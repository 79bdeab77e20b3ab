import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import type { Container, PodSpec } from '../../kube/wire.ts';
import { input, server, UNGUARDED } from './builders.ts';
import { deployment } from './deployment.ts';
import { headerData } from './guard.ts';
import { networkPolicy } from './networkpolicy.ts';
import { podTemplate } from './podspec.ts';
import { policyConfigMap } from './policyconfigmap.ts';
import { references } from './references.ts';
import { INTERNET } from './target.ts';

const pod = (spec: Partial<MCPServerSpecInput>): PodSpec => podTemplate(input(spec)).spec ?? { containers: [] };
const containers = ({ initContainers = [], containers: regular }: PodSpec): readonly Container[] => [...initContainers, ...regular];
const named = (spec: PodSpec, name: string): Container => {
  const found = containers(spec).find((container) => container.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};
const mountPaths = ({ volumeMounts = [] }: Container): string[] => volumeMounts.map(({ mountPath }) => mountPath);

describe('the pod of a server over Stdio', () => {
  const spec = pod({
    container: { image: 'x:1', command: ['server'], args: ['stdio'] },
    transport: { type: 'Stdio' },
    stdio: { processes: 'PerSession', maxProcesses: 4 },
  });

  it('begins the command by the shim, which an init container brings', () => {
    expect(spec.initContainers?.map(({ name }) => name)).toEqual(['shim', 'guard']);
    expect(named(spec, 'shim')).toMatchObject({ image: 'operator:1', command: ['/app/stdio-shim', 'install', '/opt/mcp-stdio'] });
    const server = named(spec, 'server');
    expect(server).toMatchObject({ image: 'x:1', command: ['/opt/mcp-stdio/stdio-shim', '--', 'server'], args: ['stdio'] });
    expect(server.volumeMounts).toContainEqual({ name: 'guard-shim', mountPath: '/opt/mcp-stdio', readOnly: true });
    expect(server.ports).toBeUndefined();
    expect(server.startupProbe).toBeUndefined();
  });

  it('shares a socket with the guard and nothing else', () => {
    expect(named(spec, 'guard').args).toEqual(
      expect.arrayContaining([
        '--upstream=unix:/run/mcp-stdio/stdio.sock',
        '--transport=Stdio',
        '--processes=PerSession',
        '--max-processes=4',
      ]),
    );
    const shared = mountPaths(named(spec, 'guard')).filter((path) => mountPaths(named(spec, 'server')).includes(path));
    expect(shared).toEqual(['/run/mcp-stdio']);
    expect(named(spec, 'server').env).toEqual(expect.arrayContaining([{ name: 'STDIO_SHIM_MAX_PROCESSES', value: '6' }]));
  });
});

describe('the guard', () => {
  it('sends traces where they are wanted', () => {
    const args = (otlpEndpoint: string) => named(pod({ container: { image: 'x:1' }, telemetry: { otlpEndpoint } }), 'guard').args ?? [];
    expect(args('http://collector:4318')).toContain('--otlp-endpoint=http://collector:4318');
    expect(args('').join(' ')).not.toContain('otlp');
  });
});

describe('the pod of a server that runs elsewhere', () => {
  const remote = {
    url: 'https://mcp.example.com:8443/mcp',
    headers: [
      { name: 'X-Tenant', value: 'a' },
      { name: 'X-Api-Key', valueFrom: { secretKeyRef: { name: 'example', key: 'token' } } },
    ],
    caBundle: { configMapKeyRef: { name: 'corp-ca', key: 'ca.pem' } },
  };

  it('is a guard alone, with the headers and the authority as files', () => {
    const spec = pod({ remote });
    expect(containers(spec).map(({ name }) => name)).toEqual(['guard']);
    expect(named(spec, 'guard').restartPolicy).toBeUndefined();
    expect(named(spec, 'guard').args).toEqual(
      expect.arrayContaining([
        '--upstream=https://mcp.example.com:8443/mcp',
        '--upstream-host=mcp.example.com:8443',
        '--readiness=Bundle',
        '--upstream-headers=/etc/mcp-fleet/headers',
        '--upstream-ca=/etc/mcp-fleet/ca/ca.crt',
      ]),
    );
    expect(spec.volumes?.find(({ name }) => name === 'guard-headers')?.projected?.sources).toEqual([
      { configMap: { name: 'github-policy', items: [{ key: 'header-remote-0', path: 'X-Tenant' }] } },
      { secret: { name: 'example', items: [{ key: 'token', path: 'X-Api-Key' }] } },
    ]);
  });

  it('finds the literal headers beside its bundle', () => {
    const headers = headerData(server({ remote }).spec);
    const made = policyConfigMap(input({ remote }, { bundle: { files: { 'bundle.json': '{}' }, headers, pinned: false } }));
    expect(made?.data).toEqual({ 'bundle.json': '{}', 'header-remote-0': 'a' });
  });

  it('may open connections to the port of its server', () => {
    const { spec } = networkPolicy(input({ remote, network: { egress: { internet: false } } })) ?? {};
    expect(spec?.egress).toContainEqual({ ports: [{ port: 8443, protocol: 'TCP' }], to: INTERNET });
  });

  it('calls a Service by its name', () => {
    expect(named(pod({ service: { name: 'existing', port: 8080 } }), 'guard').args).toEqual(
      expect.arrayContaining([
        '--upstream=http://existing.agents.svc.cluster.local:8080/mcp',
        '--upstream-host=existing.agents.svc.cluster.local:8080',
      ]),
    );
  });
});

describe('a server that runs elsewhere, without a guard', () => {
  it('has no pod', () => {
    expect(deployment(input({ ...UNGUARDED, remote: { url: 'https://mcp.example.com/mcp' } }))).toBeUndefined();
  });
});

describe('the guard of any server', () => {
  it('gets nothing of what the server has, and the server none of the keys', () => {
    const spec = pod({
      kubernetesAccess: { clusterRoles: ['view'] },
      authentication: { type: 'Guard', apiKeys: { secretName: 'keys' } },
      mounts: [{ mountPath: '/data', emptyDir: {} }],
    });
    const server = mountPaths(named(spec, 'server'));
    const own = mountPaths(named(spec, 'guard'));
    expect(own.filter((path) => server.includes(path))).toEqual([]);
    expect(own).toContain('/etc/mcp-fleet/api-keys');
  });

  it('reads nothing whose change would restart the pod', () => {
    const spec = pod({ authentication: { type: 'Guard', apiKeys: { secretName: 'keys' } } });
    expect(references(spec, 'github')).toEqual([]);
  });

  it('is asked by the kubelet about a server that listens on loopback', () => {
    expect(named(pod({ transport: { bind: 'Loopback' } }), 'server').startupProbe?.httpGet).toMatchObject({
      path: '/upstream',
      port: 15090,
    });
  });
});
