import { MCP_PORT_NAME } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { serverPath } from '../../../api/transport.ts';
import type { Ingress } from '../../kube/wire.ts';
import type { ChildInput } from './input.ts';
import { childMeta } from './names.ts';

export function ingress({ server }: ChildInput): Ingress | undefined {
  const asked = server.spec.expose.ingress;
  if (asked === undefined) return undefined;
  const { className, host, tlsSecretName, annotations } = asked;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: childMeta(server, server.metadata.name, annotations),
    spec: {
      ...(className !== undefined && { ingressClassName: className }),
      ...(tlsSecretName !== undefined && { tls: [{ hosts: [host], secretName: tlsSecretName }] }),
      rules: [
        {
          host,
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: server.metadata.name, port: { name: MCP_PORT_NAME } } } }],
          },
        },
      ],
    },
  };
}

export function ingressURL(server: MCPServer): string | undefined {
  const asked = server.spec.expose.ingress;
  if (asked === undefined) return undefined;
  return `${asked.tlsSecretName === undefined ? 'http' : 'https'}://${asked.host}${publicPath(server)}`;
}

/** Callers use `/mcp` whatever the server's own path is; only without a guard nobody translates. */
export const publicPath = ({ spec }: MCPServer): string => (spec.guard.enabled ? '/mcp' : (serverPath(spec.transport) ?? '/mcp'));
