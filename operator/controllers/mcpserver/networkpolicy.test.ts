import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { apiServerAddresses } from './apiserver.ts';
import { input, UNGUARDED } from './builders.ts';
import { networkPolicy } from './networkpolicy.ts';

const spec = (given: Partial<MCPServerSpecInput> = {}) => networkPolicy(input(given))?.spec;
const dns = {
  ports: [
    { port: 53, protocol: 'UDP' },
    { port: 53, protocol: 'TCP' },
  ],
};
const internet = {
  to: [
    { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '100.64.0.0/10', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'] } },
    { ipBlock: { cidr: '::/0', except: ['64:ff9b::/96', 'fc00::/7', 'fe80::/10'] } },
  ],
};
const operator = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'mcp-fleet-system' } } };
/** Guards hand sessions over to each other. */
const siblings = {
  ports: [{ port: 15_080, protocol: 'TCP' }],
  to: [{ podSelector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } } }],
};
const team = { namespaceSelector: { matchLabels: { team: 'a' } } };

describe('the NetworkPolicy', () => {
  it.each([
    [
      'http://collector.observability:4318',
      { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'observability' } } }] },
    ],
    ['http://c.obs.svc.cluster.local:4318', { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'obs' } } }] }],
    ['http://collector:4318', { to: [{ podSelector: {} }] }],
    ['https://otlp.example.com', { ports: [{ port: 443, protocol: 'TCP' }] }],
    ['http://10.0.0.7:4318/otlp', { ports: [{ port: 4318, protocol: 'TCP' }] }],
    ['http://[fd00::1]:4318', { ports: [{ port: 4318, protocol: 'TCP' }] }],
  ])('lets the guard send traces to %s', (otlpEndpoint, rule) => {
    expect(spec({ guard: { enabled: true }, telemetry: { otlpEndpoint } })?.egress).toContainEqual(rule);
    expect(spec({ guard: { enabled: false }, telemetry: { otlpEndpoint } })?.egress).not.toContainEqual(rule);
  });

  it('lets the guard send traces to a name that may be a Service or a host of the internet, whichever it is', () => {
    const egress = spec({ guard: { enabled: true }, telemetry: { otlpEndpoint: 'https://honeycomb.io' } })?.egress;
    expect(egress).toContainEqual({ ports: [{ port: 443, protocol: 'TCP' }] });
    expect(egress).toContainEqual({ to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'io' } } }] });
  });

  it('is absent where somebody else manages it', () => expect(networkPolicy(input({ network: { managed: false } }))).toBeUndefined());

  it('lets everybody to the guard, the operator to its admin port, and both of them out to DNS, other guards and the internet', () => {
    expect(spec()).toEqual({
      podSelector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port: 15_080, protocol: 'TCP' }] }, { ports: [{ port: 15_090, protocol: 'TCP' }], from: [operator] }],
      egress: [dns, siblings, internet],
    });
  });

  it('lets its own guards in, where callers are named, and who may scrape', () => {
    expect(spec({ network: { ingressFrom: [team] }, telemetry: { scrapeFrom: [team] } })?.ingress).toEqual([
      { ports: [{ port: 15_080, protocol: 'TCP' }], from: [team, { podSelector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } } }] },
      { ports: [{ port: 15_090, protocol: 'TCP' }], from: [operator] },
      { ports: [{ port: 15_091, protocol: 'TCP' }], from: [team] },
    ]);
  });

  it('lets everybody to the port that serves MCP where no guard is', () => {
    expect(spec(UNGUARDED)).toEqual({
      podSelector: { matchLabels: { 'mcp-fleet.dev/server': 'github' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port: 8080, protocol: 'TCP' }] }],
      egress: [dns, internet],
    });
  });

  it('lets the operator in, which verifies where no guard is, where callers are named', () => {
    expect(spec({ ...UNGUARDED, network: { ingressFrom: [team] }, transport: { port: 3000 } })?.ingress).toEqual([
      {
        ports: [{ port: 3000, protocol: 'TCP' }],
        from: [team, operator],
      },
    ]);
  });

  it('lets nothing out where nothing is asked for', () => {
    expect(spec({ ...UNGUARDED, network: { egress: { internet: false, dns: false } } })?.egress).toEqual([]);
  });

  it('opens the API server, before and after the translation of its address, with kubernetesAccess', () => {
    expect(spec({ kubernetesAccess: { clusterRoles: ['view'] }, network: { egress: { internet: false, to: [team] } } })?.egress).toEqual([
      dns,
      siblings,
      { to: [team] },
      { ports: [{ port: 443, protocol: 'TCP' }], to: [{ ipBlock: { cidr: '10.96.0.1/32' } }] },
      { ports: [{ port: 6443, protocol: 'TCP' }], to: [{ ipBlock: { cidr: '192.0.2.10/32' } }] },
    ]);
  });
});

describe('the addresses of the API server', () => {
  it('come in a fixed order, of both families', () => {
    const slice = (ips: string[]) =>
      ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'x' },
        addressType: 'IPv4',
        endpoints: ips.map((ip) => ({ addresses: [ip] })),
        ports: [{ port: 6443 }],
      }) as const;
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kubernetes' },
      spec: { clusterIPs: ['fd00::1', '10.0.0.1'], ports: [{ port: 443 }] },
    } as const;
    expect(apiServerAddresses(service, [slice(['192.0.2.3', '192.0.2.1']), slice(['2001:db8::1'])])).toEqual({
      clusterIPs: ['10.0.0.1', 'fd00::1'],
      servicePort: 443,
      endpoints: [
        { ip: '192.0.2.1', port: 6443 },
        { ip: '192.0.2.3', port: 6443 },
        { ip: '2001:db8::1', port: 6443 },
      ],
    });
  });

  it('are unknown without the Service', () =>
    expect(apiServerAddresses(undefined, [])).toEqual({ clusterIPs: [], servicePort: 443, endpoints: [] }));
});
