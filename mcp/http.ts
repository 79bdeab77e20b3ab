import { Agent, buildConnector, type Dispatcher } from 'undici';
import { printable } from './excerpt.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PATCH';
  /** As the server sees itself; whoever sends may map it to another address (`underPrefix`). */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
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
    const response = await dispatcher.request({
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

/** A `Send` with connections of its own, which must be closed; it knows whether a connection ever came about. */
export interface OwnSend {
  readonly send: Send;
  connected(): boolean;
  close(): Promise<void>;
}

export function ownSend(options: { readonly ca?: string } = {}): OwnSend {
  let connected = false;
  const connect = buildConnector({ timeout: 0, ...(options.ca === undefined ? {} : { ca: options.ca }) });
  const agent = new Agent({
    connect: (target, callback) => {
      connect(target, (...outcome) => {
        if (outcome[0] === null) connected = true;
        callback(...outcome);
      });
    },
    // One for a stream that stays open, the others for what is asked meanwhile.
    connections: 4,
    pipelining: 1,
    // Node's own default, against endless headers.
    maxHeaderSize: 16 * 1024,
  });
  return { send: sendThrough(agent), connected: () => connected, close: () => agent.destroy() };
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
