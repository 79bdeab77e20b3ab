import type { Dispatcher } from 'undici';
import { buildConnector, Client, Pool } from './connections.ts';
import { printable } from './excerpt.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PATCH';
  /** As the server sees itself; whoever sends may map it to another address (`underPrefix`). */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** Sent while another answer is being read, or answered by a stream that stays open: it must not wait its turn. */
  readonly aside?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives the body up, unread. Idempotent. */
  cancel(): void;
}

/** Sends one request. Must not follow redirects nor decompress. Rejects with a `Fault` or with what undici or node throws. */
export type Send = (request: HttpRequest) => Promise<HttpResponse>;

/** `Send` over any undici dispatcher: a pool, a proxy agent, the operator's own. */
export function sendThrough(dispatcher: Dispatcher): Send {
  return async ({ method, url, headers, body, signal }) => {
    const answering = dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...headers },
      body: body ?? null,
      signal,
      // The caller's deadline decides; undici's own 300 s would cut quiet streams.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const response = await unlessAborted(signal, answering);
    // A body that is given up ends with an error that concerns nobody.
    response.body.on('error', () => undefined);
    return {
      status: response.statusCode,
      headers: response.headers,
      body: response.body,
      cancel: () => void response.body.destroy(),
    };
  };
}

/** How much later than its deadline a connection that does not come about is given up, so that the deadline comes first: undici's timers are half a second late or early. */
export const CONNECT_GRACE_MS = 1_000;

/** undici looks at a signal only once a request has its connection, which may never come about. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** A `Send` with connections of its own, which must be closed; it knows whether a connection ever came about. */
export interface OwnSend {
  readonly send: Send;
  connected(): boolean;
  close(): Promise<void>;
}

/**
 * One connection for all that is asked in turn, so that behind a Service with several pods a session stays with the pod that opened it; further ones only
 * for what is sent `aside`.
 */
export function ownSend(origin: string, { timeoutMs, ca }: { readonly timeoutMs: number; readonly ca?: string }): OwnSend {
  let connected = false;
  // The deadline comes first, and closing does not end what is still connecting: it must not stay until the kernel gives up.
  const connector = buildConnector({ timeout: timeoutMs + CONNECT_GRACE_MS, ...(ca === undefined ? {} : { ca }) });
  const connect: typeof connector = (target, callback) => {
    connector(target, (...outcome) => {
      if (outcome[0] === null) connected = true;
      callback(...outcome);
    });
  };
  // Node's own default for headers, against endless ones.
  const limits = { connect, pipelining: 1, maxHeaderSize: 16 * 1024 };
  const turn = new Client(origin, limits);
  const aside = new Pool(origin, { ...limits, connections: 3 });
  const sendInTurn = sendThrough(turn);
  const sendAside = sendThrough(aside);
  return {
    send: (request) => (request.aside === true ? sendAside(request) : sendInTurn(request)),
    connected: () => connected,
    close: async () => {
      await Promise.all([turn.destroy(), aside.destroy()]);
    },
  };
}

/** The first value of a header. */
export function header(response: HttpResponse, name: string): string | undefined {
  const value = response.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

export function mediaType(response: HttpResponse): string {
  return (header(response, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** `host:port` and path, without credentials and query: what may be printed of an address. */
export function place(url: URL): string {
  return printable(`${url.protocol}//${url.host}${url.pathname}`, 300);
}
