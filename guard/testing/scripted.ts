import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What the scripted server saw of one request. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Script = (seen: Seen, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

/** A server that does what a test tells it, byte for byte, and remembers everything it was asked. */
export interface ScriptedServer {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Requests that are not of the guard's own inventory. */
  calls(method?: string): readonly Seen[];
  script: Script;
  /** Forgets what it was asked so far. */
  forget(): void;
  readonly stop: () => Promise<void>;
}

/** An inventory for the guard's own listing: tools, prompts and resources of a legacy server. */
export interface Lists {
  readonly tools?: readonly unknown[];
  readonly prompts?: readonly unknown[];
  readonly resources?: readonly unknown[];
  readonly resourceTemplates?: readonly unknown[];
}

/** Starts a server that answers the guard's inventory from `lists` and everything else by `script`. */
export async function scriptedServer(script: Script, lists: Lists = {}): Promise<ScriptedServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const { method = '', url = '', rawHeaders, headers } = request;
      const entry = { method, url, rawHeaders, headers, body };
      seen.push(entry);
      if (isInventory(entry)) listInventory(entry, response, lists);
      else void state.script(entry, response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const state: ScriptedServer = {
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    calls: (method) => seen.filter((entry) => !isInventory(entry) && (method === undefined || rpcMethod(entry) === method)),
    script,
    forget: () => void seen.splice(0),
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return state;
}

export function rpcMethod(seen: Seen): string | undefined {
  try {
    return (JSON.parse(seen.body.toString()) as { readonly method?: string }).method;
  } catch {
    return undefined;
  }
}

/** The guard's inventory introduces itself, or carries the session that it was given. */
function isInventory(seen: Seen): boolean {
  if (seen.headers['mcp-session-id'] === INVENTORY_SESSION) return true;
  const method = rpcMethod(seen);
  return (method === 'initialize' || method === 'server/discover') && seen.body.includes('"mcp-fleet"');
}

const INVENTORY_SESSION = 'inventory-session';

function listInventory(seen: Seen, response: ServerResponse, lists: Lists): void {
  const { id, method } = seen.body.length === 0 ? {} : (JSON.parse(seen.body.toString()) as { id?: unknown; method?: string });
  const answer = (result: object): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': INVENTORY_SESSION });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  };
  switch (method) {
    case 'server/discover':
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32600, message: 'no session' } }));
      return;
    case 'initialize':
      answer({
        protocolVersion: '2025-11-25',
        capabilities: { tools: {}, prompts: {}, resources: {} },
        serverInfo: { name: 'scripted', version: '1' },
      });
      return;
    case 'tools/list':
      answer({ tools: lists.tools ?? [] });
      return;
    case 'prompts/list':
      answer({ prompts: lists.prompts ?? [] });
      return;
    case 'resources/list':
      answer({ resources: lists.resources ?? [] });
      return;
    case 'resources/templates/list':
      answer({ resourceTemplates: lists.resourceTemplates ?? [] });
      return;
    default:
      response.writeHead(202).end();
  }
}

/** A definition of a tool. */
export function tool(name: string, annotations?: object): object {
  return { name, inputSchema: { type: 'object' }, ...(annotations === undefined ? {} : { annotations }) };
}
