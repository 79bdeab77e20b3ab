import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { type Dispatcher, Pool } from 'undici';
import type { Credentials } from './credentials.ts';
import { errorOf, KubeError } from './errors.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Which connections carry a request. Leases and events have their own, so that a saturated pool loses neither leadership nor warnings. */
export type Lane = 'requests' | 'leases' | 'events';

export interface Request {
  readonly method: Method;
  /** Path and query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  readonly lane?: Lane;
  /** Whether sending it twice is harmless, so that it may be repeated when the connection broke. */
  readonly repeatable?: boolean;
  /** Asked in the very tick in which the request is given to its socket, on every attempt: `false` holds it back. */
  readonly mayLeave?: (() => boolean) | undefined;
}

export interface StreamRequest {
  readonly path: string;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  /** Called for every chunk, in order. */
  readonly onData: (chunk: Buffer) => void;
  readonly onOpen?: () => void;
  /** Silence is normal: it does not mean that the connection is dead. */
  readonly silent?: boolean | undefined;
}

/** One finished request, for metrics and audits. `code` is `<error>` where there was no answer, as client-go writes it. */
export interface Observation {
  readonly method: Method;
  readonly host: string;
  readonly path: string;
  readonly code: string;
  readonly seconds: number;
  readonly watch: boolean;
}

export interface TransportObserver {
  finished?(observation: Observation): void;
  /** `code` is that of the failure. */
  retried?(method: Method, host: string, code: string): void;
}

export interface TransportOptions {
  readonly credentials: Credentials;
  /** `name/version (os/arch) component`. */
  readonly userAgent: string;
  readonly observer?: TransportObserver;
  /** Sockets for requests. 32 gave 4,400 writes/s at 5 ms latency; there is no limit on queries per second, API priority and fairness is that. */
  readonly connections?: number;
  /** Milliseconds of silence after which a watch is dead. Bookmarks arrive about once a minute, so two minutes. */
  readonly watchIdle?: number;
  /** Milliseconds to wait for headers, and between the parts of an answer. */
  readonly timeout?: number;
  /** Repetitions after 429, 503 and broken connections. client-go: 10. */
  readonly retries?: number;
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly random?: () => number;
}

/** Whatever `Retry-After` says, nobody waits longer inside a request. */
const MAX_RETRY_AFTER = 30_000;

/**
 * HTTP to one API server.
 *
 * Guarantees:
 * - connections are kept and reused: at most `connections` for requests, one per watch, two for leases, two for events;
 * - 429 and 503 with `Retry-After` are obeyed, at most `retries` times; broken connections are repeated only for repeatable requests;
 * - a 401 is answered once with a freshly read token;
 * - a request whose `mayLeave` says no is not sent, however long it waited for a socket;
 * - the body of every answer is consumed.
 *
 * Assumption: HTTP/1.1. A dead HTTP/2 session hangs every request on it, pings notwithstanding.
 */
export class Transport {
  readonly #credentials: Credentials;
  readonly #userAgent: string;
  readonly #host: string;
  readonly #basePath: string;
  readonly #pools: Readonly<Record<Lane | 'watches', Pool>>;
  readonly #observer: TransportObserver;
  readonly #retries: number;
  readonly #watchIdle: number;
  readonly #wait: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly #random: () => number;

  constructor(options: TransportOptions) {
    const { credentials, connections = 32, watchIdle = 120_000, timeout = 30_000 } = options;
    const { origin, host, pathname } = new URL(credentials.server);
    this.#credentials = credentials;
    this.#userAgent = options.userAgent;
    this.#host = host;
    this.#basePath = pathname === '/' ? '' : pathname;
    this.#observer = options.observer ?? {};
    this.#retries = options.retries ?? 10;
    this.#watchIdle = watchIdle;
    this.#wait = options.wait ?? sleepUnlessAborted;
    this.#random = options.random ?? Math.random;
    const { ca, cert, key, ...verification } = credentials.tls;
    // Made once: reading certificates for each connection costs more than the handshake.
    const secureContext = createSecureContext({
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    });
    const connect = { secureContext, ...verification, timeout: 10_000 };
    const common = { allowH2: false, pipelining: 1, headersTimeout: timeout, connect };
    const pool = (size: number): Pool => new Pool(origin, { ...common, connections: size, bodyTimeout: timeout, keepAliveTimeout: 60_000 });
    this.#pools = {
      requests: pool(connections),
      leases: pool(2),
      events: pool(2),
      watches: new Pool(origin, { ...common, connections: null, bodyTimeout: watchIdle }),
    };
  }

  /** Of the API server, as metrics name it. */
  get host(): string {
    return this.#host;
  }

  /** Namespace of the credentials. */
  get namespace(): string {
    return this.#credentials.namespace;
  }

  /** The parsed answer. Rejects with `KubeError`, or with the signal's reason. */
  async request(request: Request): Promise<unknown> {
    const { status, body } = await this.send(request);
    if (body.length === 0) return undefined;
    try {
      return JSON.parse(body);
    } catch (cause) {
      throw new KubeError('Unknown', `${request.method} ${request.path}: the answer is not JSON`, { status, cause });
    }
  }

  /** The answer as text. Rejects with `KubeError`, or with the signal's reason. */
  async send(request: Request): Promise<{ status: number; body: string }> {
    let refused = false;
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#attempt(request);
        if (answer.status < 400) return answer;
        throw errorOf(answer.status, answer.body, `${request.method} ${request.path}`, answer.retryAfter);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.code === 'Unauthorized' && !refused) {
          refused = true;
          this.#credentials.refused();
        } else {
          const delay = this.#delayBefore(error, request, attempt);
          if (delay === undefined) throw error;
          await this.#wait(delay, request.signal);
        }
        this.#observer.retried?.(request.method, this.#host, error.status === 0 ? '<error>' : String(error.status));
      }
    }
  }

  /** Streams the answer of a watch to `onData`. Resolves at its clean end. */
  async stream({ path, accept = 'application/json', signal, onData, onOpen, silent = false }: StreamRequest): Promise<void> {
    const authorization = await this.#credentials.authorization();
    const started = performance.now();
    const failed: Buffer[] = [];
    const { status, retryAfter } = await this.#dispatch(
      this.#pools.watches,
      { method: 'GET', path, accept, signal, bodyTimeout: silent ? 0 : this.#watchIdle },
      authorization,
      (chunk, code) => {
        if (code < 400) onData(chunk);
        else failed.push(chunk);
      },
      (code) => {
        this.#finish('GET', path, String(code), started, true);
        if (code < 400) onOpen?.();
      },
    ).catch((error: unknown) => {
      if (error instanceof KubeError) this.#finish('GET', path, '<error>', started, true);
      throw error;
    });
    if (status === 401) this.#credentials.refused();
    if (status >= 400) throw errorOf(status, Buffer.concat(failed).toString('utf8'), `GET ${path}`, retryAfter);
  }

  /** An answer as undici gives it, for the proxy subresources; its body must be consumed. No retries, any status. */
  async raw(options: {
    readonly method: Method;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly signal?: AbortSignal | undefined;
  }): Promise<Dispatcher.ResponseData> {
    const authorization = await this.#credentials.authorization();
    const { method, path, headers = {}, body, signal } = options;
    try {
      return await this.#pools.requests.request({
        method,
        path: this.#basePath + path,
        headers: { ...headers, 'user-agent': this.#userAgent, ...(authorization !== undefined && { authorization }) },
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw networkError(error, method, path);
    }
  }

  /** Ends all connections. Requests in flight fail. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#pools).map((pool) => pool.destroy()));
  }

  async #attempt(request: Request): Promise<{ status: number; body: string; retryAfter: number | undefined }> {
    request.signal?.throwIfAborted();
    const authorization = await this.#credentials.authorization();
    const started = performance.now();
    const chunks: Buffer[] = [];
    try {
      const { status, retryAfter } = await this.#dispatch(this.#pools[request.lane ?? 'requests'], request, authorization, (chunk) =>
        chunks.push(chunk),
      );
      this.#finish(request.method, request.path, String(status), started, false);
      const [only] = chunks;
      const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
      return { status, body: body.toString('utf8'), retryAfter };
    } catch (error) {
      this.#finish(request.method, request.path, '<error>', started, false);
      throw error;
    }
  }

  #dispatch(
    pool: Pool,
    request: Request & { readonly bodyTimeout?: number },
    authorization: string | undefined,
    onData: (chunk: Buffer, status: number) => void,
    onOpen?: (status: number) => void,
  ): Promise<{ status: number; retryAfter: number | undefined }> {
    const { method, path, body, contentType = 'application/json', accept = 'application/json', signal, mayLeave, bodyTimeout } = request;
    const headers = ['user-agent', this.#userAgent, 'accept', accept];
    if (authorization !== undefined) headers.push('authorization', authorization);
    if (body !== undefined) headers.push('content-type', contentType);
    return new Promise((resolve, reject) => {
      let status = 0;
      let retryAfter: number | undefined;
      let controller: Dispatcher.DispatchController | undefined;
      const onAbort = (): void => {
        const reason: unknown = signal?.reason;
        reject(reason);
        controller?.abort(reason instanceof Error ? reason : new Error('aborted'));
      };
      const settle = (): void => signal?.removeEventListener('abort', onAbort);
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      pool.dispatch(
        {
          method,
          path: this.#basePath + path,
          headers,
          body: body ?? null,
          // A watch's socket is of no use afterwards; requests keep theirs.
          ...(bodyTimeout !== undefined && { bodyTimeout, reset: true }),
        },
        {
          onRequestStart(started) {
            controller = started;
            signal?.throwIfAborted();
            if (mayLeave?.() === false) throw new KubeError('Fenced', `${method} ${path}: held back, this process may no longer write`);
          },
          onResponseStart(_, code, answered) {
            if (code < 200) return;
            status = code;
            retryAfter = retryAfterOf(answered['retry-after']);
            onOpen?.(code);
          },
          onResponseData(_, chunk) {
            onData(chunk, status);
          },
          onResponseEnd() {
            settle();
            resolve({ status, retryAfter });
          },
          onResponseError(_, error) {
            settle();
            reject(error instanceof KubeError || signal?.reason === error ? error : networkError(error, method, path));
          },
        },
      );
    });
  }

  /** Milliseconds until the next attempt; `undefined` when there is none. */
  #delayBefore(error: KubeError, request: Request, attempt: number): number | undefined {
    if (attempt >= this.#retries) return undefined;
    if (error.code === 'Network')
      return request.repeatable === true ? Math.min(100 * 2 ** attempt, 5_000) * (0.5 + this.#random()) : undefined;
    const throttled = error.status === 429 || error.status === 503;
    return throttled && error.retryAfter !== undefined ? Math.min(error.retryAfter, MAX_RETRY_AFTER) : undefined;
  }

  #finish(method: Method, path: string, code: string, started: number, watch: boolean): void {
    this.#observer.finished?.({ method, host: this.#host, path, code, seconds: (performance.now() - started) / 1000, watch });
  }
}

async function sleepUnlessAborted(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
}

function networkError(cause: unknown, method: string, path: string): KubeError {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  const code = (error as NodeJS.ErrnoException).code;
  const message = error.message === '' ? (code ?? error.name) : error.message;
  return new KubeError('Network', `${method} ${path}: ${message}`, { cause });
}

/** Milliseconds; the API server writes seconds, proxies also dates. */
function retryAfterOf(header: string | string[] | undefined): number | undefined {
  const value = Array.isArray(header) ? header[0] : header;
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
