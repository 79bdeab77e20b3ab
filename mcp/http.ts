import { Agent, buildConnector, type Dispatcher } from 'undici';
import { Fault } from './fault.ts';
import { excerpt, printable } from './excerpt.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
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
    // Node's own default, against endless headers. The deadline of the exchange replaces the per-phase timeouts.
    maxHeaderSize: 16 * 1024,
    headersTimeout: 0,
    bodyTimeout: 0,
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

const certificate = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/;

/** What went wrong below HTTP, in words; `undefined` for an abort and for what is not about the network. */
export function networkFault(error: unknown, url: URL): Fault | undefined {
  if (!(error instanceof Error) || error instanceof Fault) return undefined;
  const code = codeOf(error);
  const at = `${url.hostname} port ${url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port}`;
  const options = { cause: error };
  switch (code) {
    case 'ECONNREFUSED':
      return new Fault(
        'ConnectionRefused',
        `nothing listens at ${at} (connection refused); does the server listen on this port, on all interfaces?`,
        {},
        options,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Fault('ConnectionRefused', `the name ${url.hostname} does not resolve (${code})`, {}, options);
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return new Fault(
        'ConnectionRefused',
        `there is no route to ${at} (${code}); is a NetworkPolicy or a firewall in between?`,
        {},
        options,
      );
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return new Fault(
        'Timeout',
        `no connection to ${at} came about; packets are dropped, for example by a NetworkPolicy or a firewall`,
        {},
        options,
      );
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return new Fault(
        'ProtocolError',
        `${at} closed the connection without an HTTP answer; is it the port of an HTTP server?`,
        {},
        options,
      );
    case 'UND_ERR_HEADERS_OVERFLOW':
      return new Fault('ProtocolError', `${at} sent more than 16 KiB of HTTP headers`, {}, options);
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return new Fault('ProtocolError', `${at} sent a body that is too large`, {}, options);
    default:
  }
  if (code.startsWith('HPE_')) {
    const data = (error as { data?: unknown }).data;
    const seen = typeof data === 'string' && data !== '' ? `: it begins with ${excerpt(data)}` : '';
    return new Fault(
      'ProtocolError',
      `what ${at} answered is not HTTP (${code})${seen}; is it the right port, and http or https as it must be?`,
      {},
      options,
    );
  }
  if (certificate.test(code)) {
    return new Fault('ProtocolError', `TLS with ${at} failed: ${printable(error.message, 200)} (${code})`, {}, options);
  }
  if (code.startsWith('UND_ERR_') && code !== 'UND_ERR_ABORTED') {
    return new Fault('ProtocolError', `HTTP with ${at} failed: ${printable(error.message, 200)} (${code})`, {}, options);
  }
  return undefined;
}

function codeOf(error: Error): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0];
    if (first instanceof Error) return codeOf(first);
  }
  return error.cause instanceof Error && error.cause !== error ? codeOf(error.cause) : '';
}
