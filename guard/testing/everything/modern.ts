import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node';
import type { ServerContext } from '@modelcontextprotocol/server';
import { createMcpHandler, createRequestStateCodec, ProtocolError, ProtocolErrorCode, Server } from '@modelcontextprotocol/server';
import { COMPLETION, INPUT_PROMPT, MODERN_TOOLS, prompt, PROMPTS, readResource, RESOURCES, TEMPLATES } from './content.ts';
import { listening, LOOPBACK } from './listening.ts';

const codec = createRequestStateCodec({ key: randomBytes(32) });
const verify = (state: string, context: ServerContext): unknown => codec.verify(state, context);

/** A server of the modern era on the official SDK v2, with everything that the conformance suite asks for. */
export function modernServer(): Server {
  const server = new Server(
    { name: 'everything-modern', version: '1.0.0' },
    {
      capabilities: { tools: { listChanged: true }, prompts: {}, resources: { subscribe: true, listChanged: true }, completions: {} },
      requestState: { verify },
    },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: MODERN_TOOLS.map(({ name, description, inputSchema }) => ({
      name,
      description,
      inputSchema: { ...inputSchema, type: 'object' as const },
    })),
  }));
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const tool = MODERN_TOOLS.find(({ name }) => name === params.name);
    if (tool === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    const result = await tool.run({
      arguments: params.arguments ?? {},
      progressToken: context.mcpReq._meta?.progressToken,
      inputResponses: context.mcpReq.inputResponses,
      requestState: context.mcpReq.requestState(),
      notify: (method, notification) => context.mcpReq.notify({ method, params: notification }),
      ask: () => Promise.reject(new Error('the modern era has no requests of the server')),
      seal: (state) => codec.mint(state),
      signal: context.mcpReq.signal,
      closeStream: () => undefined,
    });
    return result as never;
  });
  server.setRequestHandler('prompts/list', () => ({ prompts: [...PROMPTS, INPUT_PROMPT] }));
  server.setRequestHandler('prompts/get', ({ params }, context) => {
    const found = prompt(params.name, params.arguments ?? {}, context.mcpReq.inputResponses);
    if (found === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
    return found as never;
  });
  server.setRequestHandler('resources/list', () => ({ resources: RESOURCES }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler('resources/read', ({ params }) => {
    const found = readResource(params.uri);
    if (found === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Resource not found', { uri: params.uri });
    return found as never;
  });
  server.setRequestHandler('completion/complete', () => COMPLETION);
  return server;
}

/** Serves it over streamable HTTP, modern alone, protected against DNS rebinding. */
export async function serveModern(place = LOOPBACK): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const handle = toNodeHandler(createMcpHandler(modernServer, { legacy: 'reject' }));
  const hosts = hostHeaderValidation(['localhost', '127.0.0.1', ...place.hosts]);
  const origins = originValidation(['localhost', '127.0.0.1']);
  const http = createServer((request, response) => {
    if (hosts(request, response) && origins(request, response)) void handle(request as never, response);
  });
  const { port, stop } = await listening(http, place);
  return { url: `http://localhost:${port}/mcp`, stop };
}
