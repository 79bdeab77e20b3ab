import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { COMPLETION, LEGACY_TOOLS, prompt, PROMPTS, readResource, RESOURCES, TEMPLATES } from './content.ts';
import { listening, LOOPBACK } from './listening.ts';

/** A server of the legacy era on the official SDK v1, with everything that the conformance suite asks for. */
export function legacyServer(): Server {
  const server = new Server(
    { name: 'everything-legacy', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
      },
    },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: LEGACY_TOOLS.map(({ name, description, inputSchema }) => ({
      name,
      description,
      inputSchema: { ...inputSchema, type: 'object' as const },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = LEGACY_TOOLS.find(({ name }) => name === params.name);
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    return tool.run({
      arguments: params.arguments ?? {},
      progressToken: extra._meta?.progressToken,
      inputResponses: undefined,
      requestState: undefined,
      notify: (method, notification) => extra.sendNotification({ method, params: notification }),
      ask: (method, request) => extra.sendRequest({ method, params: request }, ResultSchema),
      seal: (state) => Promise.resolve(String(state)),
      signal: extra.signal,
      closeStream: () => extra.closeSSEStream?.(),
    });
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: PROMPTS }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const found = prompt(params.name, params.arguments ?? {});
    if (found === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
    return found;
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: RESOURCES }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    const found = readResource(params.uri);
    if (found === undefined) throw new McpError(ErrorCode.InvalidParams, `Resource not found: ${params.uri}`, { uri: params.uri });
    return found;
  });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, () => COMPLETION);
  return server;
}

export interface ServedSdk {
  readonly url: string;
  /** Sessions that are open now. */
  readonly sessions: ReadonlyMap<string, StreamableHTTPServerTransport>;
  readonly stop: () => Promise<void>;
}

/** Serves it over streamable HTTP with sessions, protected against DNS rebinding as servers on a developer's machine are. */
export async function serveLegacy(options: { readonly json?: boolean } = {}, place = LOOPBACK): Promise<ServedSdk> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  let hosts: string[] = [];
  const http = createServer((request, response) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known !== undefined) {
      void known.handleRequest(request, response);
      return;
    }
    if (id !== undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
      return;
    }
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: options.json === true,
      eventStore: new Events(),
      retryInterval: 50,
      enableDnsRebindingProtection: true,
      allowedHosts: hosts,
      onsessioninitialized: (session) => void sessions.set(session, transport),
      onsessionclosed: (session) => void sessions.delete(session),
    });
    void legacyServer()
      .connect(transport as never)
      .then(() => transport.handleRequest(request, response));
  });
  const { port, stop } = await listening(http, place);
  hosts = [`localhost:${port}`, `127.0.0.1:${port}`, ...place.hosts];
  return {
    url: `http://localhost:${port}/mcp`,
    sessions,
    stop: async () => {
      await Promise.all([...sessions.values()].map((transport) => transport.close()));
      await stop();
    },
  };
}

/** Events by stream, so that a client that lost one can have the rest. */
class Events implements EventStore {
  readonly #events: { readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }[] = [];

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const id = `${stream}_${this.#events.length}`;
    this.#events.push({ id, stream, message });
    return Promise.resolve(id);
  }

  async replayEventsAfter(last: string, { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> }): Promise<string> {
    const at = this.#events.findIndex(({ id }) => id === last);
    const stream = this.#events[at]?.stream ?? '';
    for (const event of this.#events.slice(at + 1)) {
      if (event.stream === stream && Object.keys(event.message).length > 0) await send(event.id, event.message);
    }
    return stream;
  }
}
