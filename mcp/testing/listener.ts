import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A server on loopback that lives as long as its scope: `await using server = await …`. */
export interface Listener extends AsyncDisposable {
  readonly url: URL;
  /** What was asked, in order: `POST tools/list`, `DELETE`. */
  readonly log: readonly string[];
  readonly requests: readonly IncomingMessage[];
}

const loopback = '127.0.0.1';

async function listening<Extra extends object>(
  server: Server,
  address: string,
  extra: Extra,
): Promise<Extra & AsyncDisposable & { readonly url: URL }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...extra,
    url: new URL(`http://${address}:${port}/mcp`),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<unknown>((resolve) => server.close(resolve));
    },
  };
}

/** An HTTP server; `log` names each request by the JSON-RPC method in its body. */
export function httpListener(
  handler: (request: IncomingMessage, response: Parameters<RequestListener>[1], body: string) => unknown,
  address: string = loopback,
): Promise<Listener> {
  const log: string[] = [];
  const requests: IncomingMessage[] = [];
  const server = createHttpServer((request, response) => {
    requests.push(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const method = /"method":"([^"]+)"/.exec(body)?.[1];
      log.push([request.method, ...(method === undefined ? [] : [method])].join(' '));
      void handler(request, response, body);
    });
  });
  return listening(server, address, { log, requests });
}

/** Speaks whatever it likes on each connection. */
export function tcpListener(handler: (socket: Socket) => void): Promise<AsyncDisposable & { readonly url: URL }> {
  return listening(createTcpServer(handler), loopback, {});
}

/** A handler that answers each JSON-RPC method from a table; `null`: no answer at all. */
export type Script = Readonly<Record<string, (params: Record<string, unknown>, id: unknown) => unknown>>;

/** A legacy server as a table of results; unknown requests get -32601, notifications 202. */
export function scripted(script: Script): Promise<Listener> {
  return httpListener((_request, response, body) => {
    const message = body === '' ? {} : (JSON.parse(body) as { id?: unknown; method?: string; params?: Record<string, unknown> });
    const answer = message.method === undefined ? undefined : script[message.method];
    if (message.id === undefined) return response.writeHead(202).end();
    const content =
      answer === undefined
        ? { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } }
        : { jsonrpc: '2.0', id: message.id, result: answer(message.params ?? {}, message.id) };
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  });
}

/** The result of `initialize` of a server with tools. */
export const initialized = (more: object = {}) => ({
  protocolVersion: '2025-06-18',
  capabilities: { tools: {} },
  serverInfo: { name: 'scripted', version: '1.0.0' },
  ...more,
});
