import { MCP_PORT_NAME } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { serverPath } from '../../../api/transport.ts';
import type { Service } from '../../kube/wire.ts';
import type { ChildInput } from './input.ts';
import { childMeta, selector } from './names.ts';

/** The address of a server. It stays while the server is suspended, so that callers need not learn another one. */
export function service({ server }: ChildInput): Service {
  const { type, port, annotations } = server.spec.expose.service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMeta(server, server.metadata.name, annotations),
    spec: {
      type,
      selector: selector(server),
      // By name: while a rollout changes the server's port, each pod is reached on its own.
      ports: [{ name: MCP_PORT_NAME, port, protocol: 'TCP', targetPort: MCP_PORT_NAME, appProtocol: 'http' }],
    },
  };
}

/** Where callers in the cluster reach a server. The guard serves every transport at `/mcp`; without it the path is the server's own. */
export function serviceURL(server: MCPServer, clusterDomain: string): string {
  const { name, namespace } = server.metadata;
  const { port } = server.spec.expose.service;
  const path = server.spec.guard.enabled ? '/mcp' : serverPath(server.spec.transport);
  return `http://${name}.${namespace}.svc.${clusterDomain}${port === 80 ? '' : `:${port}`}${path ?? '/mcp'}`;
}
