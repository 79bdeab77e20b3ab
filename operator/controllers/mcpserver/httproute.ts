import type { MCPServer } from '../../../api/mcpserver.ts';
import type { Untyped } from '../../kube/resources.ts';
import type { ChildInput } from './input.ts';
import { publicPath } from './ingress.ts';
import { childMeta } from './names.ts';

/** Made as soon as the cluster has the Gateway API. Defaults of that API are written out, so that the wish equals what is stored. */
export function httpRoute({ server, has }: ChildInput): Untyped | undefined {
  const asked = server.spec.expose.httpRoute;
  if (asked === undefined || !has.httpRoutes) return undefined;
  const { parentRefs, hostnames = [], path } = asked;
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: childMeta(server),
    spec: {
      parentRefs: parentRefs.map((parent) => ({ group: 'gateway.networking.k8s.io', kind: 'Gateway', ...parent })),
      ...(hostnames.length > 0 && { hostnames }),
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          // Below a prefix the server still sees its own path.
          ...(path !== '/' && {
            filters: [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } }],
          }),
          backendRefs: [{ group: '', kind: 'Service', name: server.metadata.name, port: server.spec.expose.service.port, weight: 1 }],
        },
      ],
    },
  };
}

/** By host name: a listener of a Gateway nearly always terminates TLS. Without host names the Gateway's own are unknown here. */
export function routeURLs(server: MCPServer): string[] {
  const asked = server.spec.expose.httpRoute;
  if (asked === undefined) return [];
  const prefix = asked.path === '/' ? '' : asked.path.replace(/\/$/, '');
  return (asked.hostnames ?? []).filter((host) => !host.startsWith('*')).map((host) => `https://${host}${prefix}${publicPath(server)}`);
}
