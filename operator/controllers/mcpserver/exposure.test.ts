import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import type { Untyped } from '../../kube/resources.ts';
import type { Ingress, Service } from '../../kube/wire.ts';
import { server, UNGUARDED } from './builders.ts';
import { address, type Exposed, exposure } from './exposure.ts';

const nothing: Exposed = { service: undefined, ingress: undefined, httpRoute: undefined, hasHTTPRoutes: true };
const route = (...conditions: readonly object[]): Untyped => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'github' },
  status: { parents: [{ parentRef: { name: 'public' }, conditions }] },
});
const addressed = { status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } } as unknown as Ingress & Service;
const asksRoute = { expose: { httpRoute: { parentRefs: [{ name: 'public' }] } } };
const asksIngress = { expose: { ingress: { host: 'x.example.com' } } };

describe('Exposed', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, exposed: Partial<Exposed>, expected: string | undefined]> = {
    'is not there where nothing is asked for': [{}, {}, undefined],
    'misses the Gateway API': [asksRoute, { hasHTTPRoutes: false }, 'GatewayAPINotInstalled'],
    'waits for a Gateway': [asksRoute, { httpRoute: { ...route(), status: {} } }, 'Pending'],
    'waits for an answer': [asksRoute, { httpRoute: route() }, 'Pending'],
    'hears that the route is accepted': [asksRoute, { httpRoute: route({ type: 'Accepted', status: 'True' }) }, 'Exposed'],
    'hears that the route is refused': [
      asksRoute,
      { httpRoute: route({ type: 'Accepted', status: 'False', reason: 'NotAllowedByListeners', message: 'no' }) },
      'RouteNotAccepted',
    ],
    'hears that the backend is not found': [
      asksRoute,
      {
        httpRoute: route(
          { type: 'Accepted', status: 'True' },
          { type: 'ResolvedRefs', status: 'False', reason: 'BackendNotFound', message: 'no' },
        ),
      },
      'RouteNotAccepted',
    ],
    'waits for the address of the Ingress': [asksIngress, {}, 'Pending'],
    'has the address of the Ingress': [asksIngress, { ingress: addressed }, 'Exposed'],
    'waits for the load balancer': [{ expose: { service: { type: 'LoadBalancer' } } }, {}, 'Pending'],
    'has the load balancer': [{ expose: { service: { type: 'LoadBalancer' } } }, { service: addressed }, 'Exposed'],
    'waits for the last of several': [
      { expose: { ...asksIngress.expose, service: { type: 'LoadBalancer' } } },
      { service: addressed },
      'Pending',
    ],
  };
  for (const [name, [spec, exposed, expected]] of Object.entries(cases))
    it(name, () => expect(exposure(server(spec), { ...nothing, ...exposed })?.reason).toBe(expected));
});

describe('the address', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, expected: ReturnType<typeof address>]> = {
    'is that of the Service': [{}, { url: 'http://github.agents.svc.cluster.local/mcp' }],
    'has the port where it differs, and the path of the guard': [
      { expose: { service: { port: 8000 } }, transport: { type: 'SSE', path: '/events' } },
      { url: 'http://github.agents.svc.cluster.local:8000/mcp' },
    ],
    "has the server's own path without a guard": [
      { ...UNGUARDED, expose: { service: { port: 8000 } }, transport: { type: 'SSE', path: '/events' } },
      { url: 'http://github.agents.svc.cluster.local:8000/events' },
    ],
    'has those of route and Ingress': [
      {
        expose: {
          httpRoute: { parentRefs: [{ name: 'public' }], hostnames: ['a.example.com', '*.example.org'], path: '/x/' },
          ingress: { host: 'b.example.com', tlsSecretName: 'tls' },
        },
      },
      { url: 'http://github.agents.svc.cluster.local/mcp', externalURLs: ['https://a.example.com/x/mcp', 'https://b.example.com/mcp'] },
    ],
  };
  for (const [name, [spec, expected]] of Object.entries(cases))
    it(name, () => expect(address(server(spec), 'cluster.local')).toEqual(expected));
});
