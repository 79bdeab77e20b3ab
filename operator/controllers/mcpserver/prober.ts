import type { MCPServer } from '../../../api/mcpserver.ts';
import { milliseconds } from '../../../api/schema/duration.ts';
import type { Era } from '../../../mcp/eras.ts';
import type { Send } from '../../../mcp/http.ts';
import { probe, type ProbeResult } from '../../../mcp/probe.ts';
import { underPrefix } from '../../../mcp/under-prefix.ts';
import { type Client, servicePath } from '../../kube/client.ts';
import { askGuards, type GuardPod, type GuardReader } from './guardreports.ts';
import { hasGuard } from './input.ts';
import { serviceURL } from './service.ts';

/** Verifies one server as it is reached from here. Rejects with the reason of `signal` alone. */
export type Prober = (
  server: MCPServer,
  options: { readonly signal: AbortSignal; readonly era: Era | undefined; readonly guards: readonly GuardPod[] },
) => Promise<ProbeResult>;

export interface ProberOptions {
  readonly clusterDomain: string;
  /** What we say we are. */
  readonly client: { readonly name: string; readonly version: string };
  readonly readGuard: GuardReader;
  /** How requests reach a server. Absent: directly, by the name of its Service. */
  readonly sendTo?: (server: MCPServer) => Send;
}

export const serverProber =
  ({ clusterDomain, client, sendTo, readGuard }: ProberOptions): Prober =>
  async (server, { signal, era, guards }) => {
    // Each guard verifies its own server all the time; nobody else can, past a policy.
    if (hasGuard(server)) return askGuards(guards, readGuard, signal);
    const { transport, verification } = server.spec;
    return probe(
      {
        url: new URL(serviceURL(server, clusterDomain)),
        transport: transport.type === 'SSE' ? 'SSE' : 'StreamableHTTP',
        headers: Object.fromEntries((verification.headers ?? []).map(({ name, value = '' }) => [name, value])),
        ...(sendTo !== undefined && { send: sendTo(server) }),
      },
      { signal, client, limits: { timeoutMs: milliseconds(verification.timeout) }, ...(era !== undefined && { era }) },
    );
  };

/** Through the API server, for an operator that runs outside the cluster. Needs `create`, `get` and `delete` on `services/proxy`. */
export const throughAPIServer =
  (client: Client) =>
  (server: MCPServer): Send => {
    const { name, namespace = '' } = server.metadata;
    const prefix = servicePath({ namespace, name, port: server.spec.expose.service.port }, '');
    return underPrefix(new URL(prefix, 'https://api-server'), async ({ method, url, headers, body, signal }) => {
      const answer = await client.raw({ method, path: url.pathname + url.search, headers, ...(body !== undefined && { body }), signal });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: answer.body,
        cancel: () => {
          answer.body.on('error', () => {});
          answer.body.destroy();
        },
      };
    });
  };
