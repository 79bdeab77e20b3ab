import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Client } from '../client.ts';
import type { Credentials } from '../credentials.ts';
import { Transport, type TransportOptions } from '../transport.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What a test wants to happen to one request. */
export type Script = (response: ServerResponse, request: SeenRequest) => void;

/**
 * An HTTP server that answers what a test tells it to. It stores nothing and knows no rule of Kubernetes: whatever needs
 * either belongs into a test against the real API server.
 */
export class ScriptedServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** Answers of the first, second, … request; then `otherwise`. */
  readonly scripts: Script[] = [];
  otherwise: Script = answer(404, status(404, 'NotFound', 'not found'));
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    await new Promise<void>((resolve) => {
      server.#server.listen(0, '127.0.0.1', resolve);
    });
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** A client of this server. `authorization` defaults to no token. */
  client(options: Partial<Omit<TransportOptions, 'credentials'>> & { readonly credentials?: Partial<Credentials> } = {}): {
    client: Client;
    transport: Transport;
  } {
    const credentials: Credentials = {
      server: this.url,
      tls: {},
      namespace: 'default',
      authorization: () => Promise.resolve(undefined),
      refused: () => {},
      ...options.credentials,
    };
    const transport = new Transport({ userAgent: 'test', ...options, credentials });
    return { client: new Client(transport), transport };
  }

  /** Resolves once so many requests have arrived in all. */
  async arrived(count: number): Promise<void> {
    if (this.requests.length >= count) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    this.requests.push(seen);
    const script = this.scripts.shift() ?? this.otherwise;
    script(response, seen);
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.requests.length < count) return true;
      resolve();
      return false;
    });
  }
}

export const answer =
  (code: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Script =>
  (response) => {
    response
      .writeHead(code, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  };

/** Breaks the connection instead of answering. */
export const reset: Script = (response) => {
  response.socket?.resetAndDestroy();
};

/** Takes the request and says nothing, like a peer that vanished. */
export const stall: Script = () => {};

/** Sends these events, then `after`: ends the stream cleanly, breaks it, or falls silent. */
export const events =
  (list: readonly unknown[], after: 'end' | 'reset' | 'stall' = 'stall'): Script =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const text = list.map((event) => (typeof event === 'string' ? event : `${JSON.stringify(event)}\n`)).join('');
    response.write(text, () => {
      if (after === 'end') response.end();
      if (after === 'reset') response.socket?.resetAndDestroy();
    });
  };

export const status = (code: number, reason: string, message: string): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message,
});
