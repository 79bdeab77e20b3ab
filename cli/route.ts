import { GuardPort, Label, MCP_PORT_NAME } from '../api/group.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import { serverPath } from '../api/transport.ts';
import type { Target } from '../mcp/connection.ts';
import { underPrefix } from '../mcp/under-prefix.ts';
import type { Context } from './context.ts';
import { CommandError, ExitCode } from './exit.ts';
import { pods } from './kinds.ts';
import { path, type Collection, type KubeObject } from './kubeapi.ts';

const services: Collection = { apiVersion: 'v1', plural: 'services' };

/** Port of a server that names none (`spec.transport.port`). */
const defaultPort = 8080;

/**
 * The way to a server through the API server: nothing but the kubeconfig is needed. By its Service; but where several pods answer without a guard to keep
 * sessions together, by one of the pods.
 */
export async function route(context: Context, server: MCPServer, headers: Readonly<Record<string, string>>): Promise<Target> {
  const { name, namespace = '' } = server.metadata;
  const { transport, guard } = server.spec;
  const scattered = !guard.enabled && (server.status?.readyReplicas ?? 0) > 1;
  const proxy = scattered ? await podProxy(context, server) : path(services, namespace, `http:${name}:${MCP_PORT_NAME}`, 'proxy');
  const base = context.access.server;
  const prefix = new URL(`${base.pathname.replace(/\/$/, '')}${proxy}`, base);
  return {
    url: new URL(`http://${name}.${namespace}.svc${guard.enabled ? '/mcp' : (serverPath(transport) ?? '/mcp')}`),
    transport: !guard.enabled && transport.type === 'SSE' ? 'SSE' : 'StreamableHTTP',
    headers,
    send: underPrefix(prefix, context.access.send),
  };
}

interface Pod extends KubeObject {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function podProxy({ api }: Context, server: MCPServer): Promise<string> {
  const { name, namespace = '' } = server.metadata;
  const found = await api.list<Pod>(pods, namespace, { labelSelector: `${Label.Server}=${name}` });
  const ready = found.find(({ status }) =>
    status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
  );
  if (ready === undefined) throw new CommandError(ExitCode.NotReady, `${name} has no ready pod: mcp-fleet status ${name} tells why`);
  const port = server.spec.guard.enabled ? GuardPort.Data : (server.spec.transport.port ?? defaultPort);
  return path(pods, namespace, `http:${ready.metadata.name}:${port}`, 'proxy');
}
