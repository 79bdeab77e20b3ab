import { connect } from 'node:net';
import type { Dispatcher, Pool as ConnectionPool } from 'undici';
import { Pool } from '../../mcp/connections.ts';
import type { Exchange, ResponseSink, Upstream, UpstreamFailure, UpstreamRequest } from './upstream.ts';

export interface HttpUpstreamOptions {
  readonly url: URL;
  /** The `Host` that the server accepts. Default: the URL's own. */
  readonly host?: string;
  /** PEM of the authorities to trust besides the well-known ones. */
  readonly ca?: string;
  /** Headers that the server wants from everybody: names and values alternating. */
  readonly headers?: readonly string[];
  /** Milliseconds to wait for a connection. Default 5000. */
  readonly connectTimeout?: number;
}

/**
 * A server that speaks streamable HTTP.
 *
 * Guarantees: nothing is retried, no redirect is followed, and no time limit of the client library ends a quiet stream: the caller
 * of `send` keeps its own clock and aborts.
 */
export class HttpUpstream implements Upstream {
  readonly #options: HttpUpstreamOptions;
  readonly #pool: ConnectionPool;
  readonly #path: string;

  constructor(options: HttpUpstreamOptions) {
    this.#options = options;
    this.#path = options.url.pathname;
    this.#pool = new Pool(options.url.origin, {
      connections: null,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      // Shorter than the 5 s after which Node and uvicorn close an idle connection, so that none is written to while it closes.
      keepAliveTimeout: 3_000,
      // Whatever the server says of itself: siblings that leave wait no longer than this for connections to be let go.
      keepAliveMaxTimeout: 3_000,
      connect: { timeout: options.connectTimeout ?? 5_000, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    });
  }

  send(request: UpstreamRequest, sink: ResponseSink): Exchange {
    const handler = new Handler(sink);
    const headers = ['host', this.#options.host ?? this.#options.url.host, ...request.headers, ...(this.#options.headers ?? [])];
    const path = `${request.path ?? this.#path}${request.query}`;
    this.#pool.dispatch({ method: request.method, path, headers, body: request.body ?? null }, handler);
    return handler;
  }

  async reachable(): Promise<boolean> {
    const { hostname, port, protocol } = this.#options.url;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
      timeout: this.#options.connectTimeout ?? 5_000,
    });
    socket.once('connect', () => resolve(true));
    socket.once('timeout', () => resolve(false));
    socket.once('error', () => resolve(false));
    const answer = await promise;
    socket.destroy();
    return answer;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Links undici's callbacks to a sink. */
class Handler implements Dispatcher.DispatchHandler, Exchange {
  readonly #sink: ResponseSink;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted = false;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort(new Error('aborted'));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error('aborted'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // Informational answers carry nothing that a caller of ours waits for.
    if (status < 200) return;
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
    this.#sink.head(
      status,
      raw.map((part) => part.toString('latin1')),
    );
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#sink.data(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#sink.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#sink.fail({ ...failure(error), error });
  }
}

function failure(error: Error): UpstreamFailure {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const unseen: Pick<UpstreamFailure, 'unseen'> = connecting(error) ? { unseen: true } : {};
  switch (code) {
    case 'ECONNREFUSED':
      return { status: 502, cause: 'the server refused the connection', ...unseen };
    case 'UND_ERR_CONNECT_TIMEOUT':
      return { status: 504, cause: 'the server did not accept the connection in time', unseen: true };
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { status: 504, cause: `the server cannot be reached (${code})`, ...unseen };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { status: 502, cause: 'the name of the server could not be resolved', unseen: true };
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return { status: 502, cause: 'the server closed the connection before it answered' };
    default:
      return { status: 502, cause: `the connection to the server failed (${code})`, ...unseen };
  }
}

/** Whether no connection came about, also where several addresses were tried. Most codes come from connections that stood as well. */
function connecting(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(connecting);
  return error instanceof Error && 'syscall' in error && error.syscall === 'connect';
}
