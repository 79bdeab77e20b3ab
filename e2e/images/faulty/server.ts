import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { Server as TcpServer, Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { Server } from '@modelcontextprotocol/server';
import type { Behaviour, Options, ToolDefinition } from './behaviour.ts';
import { mcpServer } from './tools.ts';
import type { Controls } from './tools.ts';

/** What the server has seen, for assertions. */
export interface Seen {
  /** HTTP requests by JSON-RPC method, or by HTTP method where there is no body. */
  readonly requests: Record<string, number>;
  /** The header fields of the last of each. */
  readonly headers: Record<string, IncomingHttpHeaders>;
  openSessions: number;
}

export interface FaultyServer {
  readonly behaviour: Behaviour;
  readonly seen: Seen;
  /** Connections arrive here: whether they become HTTP is decided by the mode. */
  readonly tcp: TcpServer;
  readonly changeTools: (tools: readonly ToolDefinition[]) => void;
  /** From now on each answer is the last of its connection. */
  readonly drain: () => void;
}

interface Session {
  readonly server: Server;
  readonly transport: NodeStreamableHTTPServerTransport;
}

/** An MCP server of the official SDK behind a door that misbehaves as `behaviour.mode` says, from one request to the next. */
export function faultyServer({ behaviour, era, sessions, token }: Options, crash: (message: string) => void): FaultyServer {
  const seen: Seen = { requests: {}, headers: {}, openSessions: 0 };
  const open = new Map<string, Session>();
  const controls: Controls = { behaviour, changeTools, crash };
  const stateless = createMcpHandler(() => mcpServer(controls), { legacy: era === 'Modern' ? 'reject' : 'stateless' });
  const serveStateless = toNodeHandler(stateless);

  function changeTools(tools: readonly ToolDefinition[]): void {
    behaviour.tools = tools;
    stateless.notify.toolsChanged();
    for (const { server } of open.values()) {
      server.sendToolListChanged().catch(() => undefined);
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await json(request);
    count(seen, request, body);
    if (behaviour.mode === 'Slow') {
      await after(behaviour.delayMilliseconds);
    }
    if (refused(behaviour, request, response, body)) {
      return;
    }
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      unauthorized(response);
      return;
    }
    if (new URL(request.url ?? '/', 'http://server').pathname !== '/mcp') {
      response.writeHead(404).end();
    } else if (era === 'Legacy') {
      await serveLegacy(request, response, body);
    } else {
      // Its own type allows no undefined members, which every IncomingMessage has.
      await serveStateless(request as Parameters<typeof serveStateless>[0], response, body);
    }
  }

  async function serveLegacy(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? open.get(id) : undefined;
    if (typeof id === 'string' && known === undefined) {
      response.writeHead(404).end();
      return;
    }
    const { transport } = known ?? (await newSession());
    await transport.handleRequest(request, response, body);
  }

  async function newSession(): Promise<Session> {
    const server = mcpServer(controls);
    const transport = new NodeStreamableHTTPServerTransport(
      sessions
        ? {
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (id) => {
              open.set(id, { server, transport });
              seen.openSessions = open.size;
            },
            onsessionclosed: (id) => {
              open.delete(id);
              seen.openSessions = open.size;
            },
          }
        : {},
    );
    await server.connect(transport);
    return { server, transport };
  }

  let draining = false;
  const http = createServer((request, response) => {
    if (draining) response.shouldKeepAlive = false;
    serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  const drain = (): void => {
    draining = true;
  };
  return { behaviour, seen, changeTools, drain, tcp: door(behaviour, http) };
}

/** Decides for each connection; what is open already stays HTTP, so a switch to another mode closes idle connections. */
function door(behaviour: Behaviour, http: HttpServer): TcpServer {
  return createTcpServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    if (behaviour.mode === 'Silent') {
      socket.resume();
    } else if (behaviour.mode === 'Binary') {
      socket.once('data', () => socket.end(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28, 0xff, 0x00, 0x7f])));
    } else {
      http.emit('connection', socket);
    }
  });
}

/** Answers in the server's stead, or leaves the request to it. */
function refused({ mode }: Behaviour, request: IncomingMessage, response: ServerResponse, body: unknown): boolean {
  switch (mode) {
    case 'Silent':
      return true;
    case 'Binary':
      request.socket.end('\u0015\u0003not HTTP');
      return true;
    case 'WebPage':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Welcome</title><h1>It works!</h1>');
      return true;
    case 'Unauthorized':
      unauthorized(response);
      return true;
    case 'Forbidden':
      response.writeHead(403).end();
      return true;
    case 'Unavailable':
      response.writeHead(503, { 'retry-after': '1' }).end('the upstream is down');
      return true;
    case 'JsonRpcError': {
      const id = (body as { id?: unknown } | undefined)?.id ?? null;
      const error = { code: -32603, message: 'the backing database is gone' };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, error }));
      return true;
    }
    default:
      return false;
  }
}

/** As MCP asks of servers that do OAuth. */
export const CHALLENGE = 'Bearer resource_metadata="https://auth.example.com/.well-known/oauth-protected-resource"';

function unauthorized(response: ServerResponse): void {
  response.writeHead(401, { 'www-authenticate': CHALLENGE, 'content-type': 'application/json' }).end('{"error":"invalid_token"}');
}

async function json(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  if (chunks.length === 0) {
    return undefined;
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function count(seen: Seen, request: IncomingMessage, body: unknown): void {
  const key = (body as { method?: string } | undefined)?.method ?? request.method ?? 'unknown';
  seen.requests[key] = (seen.requests[key] ?? 0) + 1;
  seen.headers[key] = request.headers;
}
