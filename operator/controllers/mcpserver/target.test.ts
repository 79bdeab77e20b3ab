import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import type { Service } from '../../kube/wire.ts';
import { server } from './builders.ts';
import { INTERNET, serviceOf, targetRules, targetService } from './target.ts';

const remote = (url: string): Partial<MCPServerSpecInput> => ({ remote: { url } });
const service = (spec: Service['spec']): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'tickets' },
  spec: spec ?? {},
});
const tcp = (port: number | string) => ({ port, protocol: 'TCP' });
const to = (...cidrs: string[]) => cidrs.map((cidr) => ({ ipBlock: { cidr } }));
const pods = { podSelector: { matchLabels: { app: 'tickets' } } };
const crm = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'crm' } } };

const behind = { clusterIPs: ['10.96.0.9'], selector: { app: 'tickets' }, ports: [{ port: 80, targetPort: 8080 }] };

describe('what a guard may reach whose server runs elsewhere', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, target: Service | undefined, rules: object[]]> = {
    'is nothing more where the server runs beside it': [{}, undefined, []],
    'is the port of the pods of its Service, and its address': [
      { service: { name: 'tickets', port: 80 } },
      service(behind),
      [
        { ports: [tcp(80)], to: to('10.96.0.9/32') },
        { ports: [tcp(8080)], to: [pods] },
      ],
    ],
    'is a port by name': [
      { service: { name: 'tickets', port: 80 } },
      service({ ...behind, clusterIPs: ['10.96.0.9', 'fd00::9'], ports: [{ port: 81 }, { port: 80, targetPort: 'mcp' }] }),
      [
        { ports: [tcp(80)], to: to('10.96.0.9/32', 'fd00::9/128') },
        { ports: [tcp('mcp')], to: [pods] },
      ],
    ],
    'is also the port itself where a Service has no address': [
      { service: { name: 'tickets', port: 80 } },
      service({ ...behind, clusterIPs: ['None'] }),
      [{ ports: [tcp(8080), tcp(80)], to: [pods] }],
    ],
    'is a port anywhere where endpoints are written by hand': [
      { service: { name: 'tickets', port: 80 } },
      service({ clusterIPs: ['10.96.0.9'], ports: [{ port: 80, targetPort: 9000 }] }),
      [{ ports: [tcp(80)], to: to('10.96.0.9/32') }, { ports: [tcp(9000)] }],
    ],
    'is the internet for a Service that is a name of it': [
      { service: { name: 'tickets', port: 443 } },
      service({ type: 'ExternalName', externalName: 'mcp.example.com' }),
      [{ ports: [tcp(443)], to: [...INTERNET] }],
    ],
    'is the namespace while the Service is not there': [
      { service: { name: 'tickets', port: 80 } },
      undefined,
      [{ to: [{ podSelector: {} }] }],
    ],
    'is a Service of another namespace by its name': [
      remote('http://tickets.crm.svc.cluster.local/mcp'),
      service(behind),
      [
        { ports: [tcp(80)], to: to('10.96.0.9/32') },
        { ports: [tcp(8080)], to: [{ ...crm, ...pods }] },
      ],
    ],
    'is the other namespace where its Services are not seen': [remote('http://tickets.crm.svc/mcp'), undefined, [{ to: [crm] }]],
    'is one address, where that is given': [
      remote('https://192.0.2.7:8443/mcp'),
      undefined,
      [{ ports: [tcp(8443)], to: to('192.0.2.7/32') }],
    ],
    'is one private address, where that is given': [
      remote('https://10.1.2.3/mcp'),
      undefined,
      [{ ports: [tcp(443)], to: to('10.1.2.3/32') }],
    ],
    'is one address of IPv6': [remote('https://[2001:db8::7]/mcp'), undefined, [{ ports: [tcp(443)], to: to('2001:db8::7/128') }]],
    'is a port of the internet by a name, and no private address': [
      remote('https://mcp.example.com:8443/mcp'),
      undefined,
      [{ ports: [tcp(8443)], to: [...INTERNET] }],
    ],
    'is the internet by a name of two parts, unless that is a Service': [
      remote('https://example.com/mcp'),
      undefined,
      [{ ports: [tcp(443)], to: [...INTERNET] }],
    ],
  };
  for (const [name, [spec, target, rules]] of Object.entries(cases))
    it(name, () => expect(targetRules(server(spec), target, 'cluster.local')).toEqual(rules));

  it('never is a private range by a name', () => {
    const text = JSON.stringify(targetRules(server(remote('https://mcp.example.com/mcp')), undefined, 'cluster.local'));
    for (const range of ['10.0.0.0/8', '169.254.0.0/16', 'fc00::/7']) expect(text).toMatch(new RegExp(`"except":\\[[^\\]]*"${range}"`));
  });
});

describe('a host name', () => {
  it.each([
    ['tickets', { namespace: 'agents', name: 'tickets', certain: true }],
    ['tickets.crm', { namespace: 'crm', name: 'tickets', certain: false }],
    ['tickets.crm.svc', { namespace: 'crm', name: 'tickets', certain: true }],
    ['tickets.crm.svc.cluster.local', { namespace: 'crm', name: 'tickets', certain: true }],
    ['tickets.crm.svc.other.domain', undefined],
    ['mcp.example.com', undefined],
    ['10.0.0.1', undefined],
    ['fd00::1', undefined],
  ])('%s is a Service, or not', (host, expected) => expect(serviceOf(host, 'agents', 'cluster.local')).toEqual(expected));

  it('of a server in our own pods is no target', () => expect(targetService(server({}), 'cluster.local')).toBeUndefined());
});
