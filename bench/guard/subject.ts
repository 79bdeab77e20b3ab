import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';

/** One process of the bench that is not the guard: `server`, `proxy URL`, or `stdio`. The first two tell their URL to their parent. */
const [role = '', upstream = ''] = process.argv.slice(2);

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  process.send?.(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`);
}

interface Request {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly arguments?: { readonly sse?: boolean }; readonly cursor?: string };
}

const ECHO = { name: 'echo', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } };
/** 500 tools of 1 KiB, every second one destructive. */
const MANY = Array.from({ length: 500 }, (_, index) => ({
  name: `tool-${index}`,
  description: 'x'.repeat(900),
  inputSchema: { type: 'object', properties: {} },
  annotations: index % 2 === 0 ? { readOnlyHint: true } : { destructiveHint: true },
}));

function result({ method, params }: Request, tools: readonly object[]): object {
  switch (method) {
    case 'initialize':
      return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } };
    case 'tools/list':
      // Pages of callers differ, so that nothing is answered from a cache that need not be.
      return params?.cursor === undefined ? { tools } : { tools, nextCursor: params.cursor };
    default:
      return { content: [{ type: 'text', text: JSON.stringify(params?.arguments) }], resultType: 'complete' };
  }
}

/** Answers every call with what came: as JSON, or as a stream of one event where the call says so. A GET stays open. */
function echo(tools: readonly object[]): Server {
  return createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(response, JSON.parse(Buffer.concat(chunks).toString() || '{}') as Request, tools));
  });
}

function answer(response: ServerResponse, message: Request, tools: readonly object[]): void {
  const { id, method, params } = message;
  if (method === 'server/discover') {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32600, message: 'legacy' } }));
  } else if (id === undefined) {
    response.writeHead(202).end();
  } else {
    const text = JSON.stringify({ jsonrpc: '2.0', id, result: result(message, tools) });
    if (params?.arguments?.sse === true) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`event: message\ndata: ${text}\n\n`);
    } else {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    }
  }
}

/** The least that a proxy in this runtime can do: no check, no change. */
function bare(target: string): Server {
  const { origin, pathname } = new URL(target);
  const pool = new Pool(origin, { connections: null });
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = request.headers;
      void pool.request({ method: 'POST', path: pathname, headers, body: Buffer.concat(chunks) }).then((received) => {
        response.writeHead(received.statusCode, received.headers);
        received.body.pipe(response);
      });
    });
  });
}

/** The same server over pipes. */
function stdio(): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line) as Request;
    const { id, method } = message;
    if (id === undefined) return;
    const outcome = method === 'server/discover' ? { error: { code: -32601, message: 'legacy' } } : { result: result(message, [ECHO]) };
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`);
  });
}

if (role === 'server') await listen(echo([ECHO]));
else if (role === 'lists') await listen(echo(MANY));
else if (role === 'proxy') await listen(bare(upstream));
else stdio();
