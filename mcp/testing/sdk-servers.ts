import { randomUUID } from 'node:crypto';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport, type EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  EmptyResultSchema,
  ListRootsResultSchema,
  ListToolsRequestSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { httpListener, type Listener } from './listener.ts';

/** A server built with an official SDK, and what is open at it. */
export interface SdkServer extends Listener {
  /** Ids of live sessions. */
  readonly sessions: ReadonlyMap<string, Transport>;
  /** Every session ever opened. */
  readonly opened: readonly string[];
}

export const echo: Tool = {
  name: 'echo',
  title: 'Echo',
  description: 'Gives back what it gets',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
  annotations: { readOnlyHint: true },
};

/** `count` tools called tool-0 … */
export function manyTools(count: number): readonly Tool[] {
  return Array.from({ length: count }, (_, index) => ({ name: `tool-${index}`, inputSchema: { type: 'object' } }));
}

export interface LegacyOptions {
  readonly tools?: readonly Tool[];
  /** Tools per page. */
  readonly page?: number;
  readonly stateless?: boolean;
  /** JSON instead of event streams. */
  readonly json?: boolean;
  readonly eventStore?: EventStore;
  /** Default: loopback. */
  readonly address?: string;
  /** Asks the client for its roots while it lists tools. */
  readonly curious?: boolean;
}

function legacyProtocol({ tools = [echo], page = 1_000, curious = false }: LegacyOptions): Server {
  const server = new Server({ name: 'legacy', version: '1.0.0' }, { capabilities: { tools: {}, logging: {} } });
  server.setRequestHandler(ListToolsRequestSchema, async (request, extra) => {
    if (curious) {
      await extra.sendRequest({ method: 'ping' }, EmptyResultSchema);
      await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema).catch(() => undefined);
      await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'looking' } });
    }
    const start = Number(request.params?.cursor ?? 0);
    const next = start + page < tools.length ? { nextCursor: String(start + page) } : {};
    return { tools: tools.slice(start, start + page), ...next };
  });
  server.setRequestHandler(CallToolRequestSchema, (request) => {
    const { name, arguments: args } = request.params;
    if (name === 'broken') return { isError: true, content: [{ type: 'text', text: 'out of order' }] };
    return { content: [{ type: 'text', text: `${name} ${JSON.stringify(args)}` }] };
  });
  return server;
}

/** Streamable HTTP of the legacy era with `@modelcontextprotocol/sdk` 1.x. */
export async function legacyServer(options: LegacyOptions = {}): Promise<SdkServer> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const opened: string[] = [];
  const answers = {
    ...(options.json === true ? { enableJsonResponse: true } : {}),
    ...(options.eventStore === undefined ? {} : { eventStore: options.eventStore }),
  };
  const session = async () => {
    const transport = new StreamableHTTPServerTransport({
      ...answers,
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        opened.push(id);
        sessions.set(id, transport);
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await legacyProtocol(options).connect(transport);
    return transport;
  };
  const once = async () => {
    const transport = new StreamableHTTPServerTransport(answers);
    await legacyProtocol(options).connect(transport);
    return transport;
  };
  const listener = await httpListener(async (request, response, body) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    const transport = options.stateless === true ? await once() : (known ?? (await session()));
    await transport.handleRequest(request, response, body === '' ? undefined : JSON.parse(body));
  }, options.address);
  return { ...listener, sessions, opened };
}

/** HTTP+SSE of 2024-11-05. */
export async function sseServer(options: LegacyOptions = {}): Promise<SdkServer> {
  const sessions = new Map<string, SSEServerTransport>();
  const opened: string[] = [];
  const listener = await httpListener(async (request, response, body) => {
    if (request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response);
      sessions.set(transport.sessionId, transport);
      opened.push(transport.sessionId);
      response.on('close', () => sessions.delete(transport.sessionId));
      await legacyProtocol(options).connect(transport);
      return;
    }
    const id = new URL(request.url ?? '/', 'http://localhost').searchParams.get('sessionId') ?? '';
    const transport = sessions.get(id);
    if (transport === undefined) response.writeHead(404).end('no such session');
    else await transport.handlePostMessage(request, response, JSON.parse(body));
  });
  return { ...listener, url: new URL('/sse', listener.url), sessions, opened };
}

/** Its argument must be repeated as header `Mcp-Param-Region`. */
const regional: object = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } }, required: ['region'] };

/** `@modelcontextprotocol/server` 2.x: modern, and legacy too unless `only`. */
export async function modernServer(options: { readonly only?: boolean; readonly address?: string } = {}): Promise<Listener> {
  const handler = createMcpHandler(
    () => {
      const server = new McpServer({ name: 'modern', version: '2.0.0' });
      server.registerTool(
        'echo',
        {
          description: 'Gives back what it gets',
          annotations: { readOnlyHint: true },
          inputSchema: fromJsonSchema({ type: 'object', properties: { text: { type: 'string' } } }),
        },
        (args) => ({ content: [{ type: 'text', text: `echo ${JSON.stringify(args)}` }] }),
      );
      server.registerTool(
        'regional',
        {
          inputSchema: fromJsonSchema(regional),
        },
        (args) => ({ content: [{ type: 'text', text: `region ${JSON.stringify(args)}` }] }),
      );
      return server;
    },
    options.only === true ? { legacy: 'reject' } : {},
  );
  const nodeHandler = toNodeHandler(handler);
  return httpListener(
    (request, response, body) =>
      nodeHandler(request as Parameters<typeof nodeHandler>[0], response, body === '' ? undefined : JSON.parse(body)),
    options.address,
  );
}
