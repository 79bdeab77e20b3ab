import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { toolCounts } from '../mcp/inventory.ts';
import type { GuardContext } from './context.ts';
import type { Enforcements } from './enforcement.ts';

export interface AdminOptions {
  readonly context: GuardContext;
  readonly enforcements: Pick<Enforcements, 'rejections' | 'unknownKeys'>;
  /** Whether the pod's readiness waits for the server. Not where the server runs elsewhere. */
  readonly awaitServer: boolean;
  readonly version: string;
}

/** The admin port: read-only, for the kubelet and the operator. */
export function adminPort(options: AdminOptions): Server {
  const { context } = options;
  return createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, { error: 'this port is read-only' });
      return;
    }
    switch (new URL(request.url ?? '/', 'http://admin').pathname) {
      case '/healthz':
        answer(response, 200, { status: 'ok' });
        return;
      case '/readyz':
        void readiness(options).then((missing) => answer(response, missing === undefined ? 200 : 503, { missing }));
        return;
      case '/upstream':
        void context.upstream.reachable().then((reachable) => answer(response, reachable ? 200 : 503, { reachable }));
        return;
      case '/inventory':
        answer(response, 200, inventory(context));
        return;
      case '/status':
        answer(response, 200, status(options));
        return;
      case '/drained':
        // The preStop hook of the server's container waits here.
        void context.draining.released(LEAVE_PATIENCE).then(() => answer(response, 200, { drained: true }));
        return;
      default:
        answer(response, 404, { error: 'no such page' });
    }
  });
}

/** Both containers' preStop hooks begin at once, but ours must start a process first. Milliseconds, on a busy node. */
const LEAVE_PATIENCE = 10_000;

/** What the pod still lacks to be ready, in words; `undefined`: nothing. */
async function readiness({ context, awaitServer }: AdminOptions): Promise<string | undefined> {
  if (context.enforcement() === undefined) return 'no valid policy bundle';
  if (!awaitServer) return undefined;
  if (!context.inventory.answered) return context.inventory.result?.message ?? 'the server has not answered MCP yet';
  // A server that answers slowly or with errors still yields clear errors: only one that takes no connection is gone.
  return (await context.upstream.reachable()) ? undefined : 'the server does not accept connections';
}

function inventory({ inventory: current }: GuardContext): object {
  const { result, verified } = current;
  return {
    result: result === undefined ? null : { outcome: result.outcome, message: result.message, ...statusOf(result) },
    server: verified?.server ?? null,
    digest: verified?.inventory.digest ?? null,
    counts: verified === undefined ? null : toolCounts(verified.inventory.tools),
    duplicates: verified?.inventory.duplicates ?? [],
    warnings: verified?.inventory.warnings ?? [],
    tools: verified?.inventory.tools.map((tool) => tool.definition) ?? [],
    prompts: [...current.listing.prompts],
    resources: [...current.listing.resources],
    resourceTemplates: [...current.listing.templates],
  };
}

function statusOf(result: object): object {
  return 'status' in result ? { status: result.status } : {};
}

function status({ context, enforcements, version }: AdminOptions): object {
  const enforcement = context.enforcement();
  return {
    version,
    boot: context.boot,
    policyDigest: enforcement?.digest ?? null,
    keysDigest: enforcement?.keysDigest ?? null,
    unknownKeys: enforcements.unknownKeys,
    rejections: enforcements.rejections,
    replicas: enforcement?.replicas ?? null,
    inventoryDigest: context.inventory.verified?.inventory.digest ?? null,
    answered: context.inventory.answered,
    draining: context.draining.active,
    calls: context.draining.calls,
    streams: context.streams.size,
    auditMissing: context.audit.missing,
  };
}

function answer(response: ServerResponse, code: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) });
  response.end(text);
}
