import type { Era } from './eras.ts';
import { Fault } from './fault.ts';
import { excerpt } from './excerpt.ts';
import type { OwnSend, Send } from './http.ts';
import type { JsonObject, Message } from './jsonrpc.ts';
import type { Limits } from './limits.ts';

/** `StreamableHTTP` since 2025-03-26; `SSE` is HTTP+SSE of 2024-11-05. */
export type TransportType = 'StreamableHTTP' | 'SSE';

/** A server, as its callers reach it. */
export interface Target {
  readonly url: URL;
  /** Default `StreamableHTTP`. */
  readonly transport?: TransportType;
  /** Sent with every request; their values never appear in a message. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How requests are sent. Default: connections of our own, closed at the end. */
  readonly send?: Send;
  /** PEM certificates to trust instead of the system's. Only without `send`. */
  readonly ca?: string;
}

/** What a connection speaks once the era is known. */
export interface Dialect {
  readonly era: Era;
  readonly revision: string;
}

/** Who we say we are (`clientInfo`). */
export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

export interface RequestOptions {
  /** Further headers, `Mcp-Param-…` for example. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces the deadline of the exchange; it must end no later. */
  readonly signal?: AbortSignal;
}

/**
 * JSON-RPC with one server, one request after the other. `request` rejects with `RefusedError` when the server answers with a JSON-RPC error,
 * with `Fault` when the exchange failed, and with the signal's reason when it was aborted.
 */
export interface Connection {
  dialect: Dialect | undefined;
  request(method: string, params: JsonObject, options?: RequestOptions): Promise<JsonObject>;
  notify(method: string, params?: JsonObject): Promise<void>;
  /** Ends what was opened at the server, sessions above all. Never rejects; takes at most a second. */
  close(): Promise<void>;
}

/** What one exchange shares: its deadline, its limits, and how far it has come (for the message of a timeout). */
export interface Exchange {
  readonly target: Target;
  readonly send: Send;
  readonly limits: Limits;
  readonly client: ClientInfo;
  readonly signal: AbortSignal;
  readonly budget: Budget;
  readonly progress: Progress;
  /** Values that must not be printed. */
  readonly secrets: readonly string[];
  /** Called with each notification and server request that arrives before an answer. */
  readonly onMessage?: (message: Message) => void;
  /** Present when the connections are our own. */
  readonly own?: OwnSend;
}

/** A sentence part about what is being waited for: `an answer to initialize`. */
export interface Progress {
  waitingFor: string;
}

/** Counts bytes over a whole exchange. */
export class Budget {
  #left: number;
  readonly #total: number;
  constructor(total: number) {
    this.#total = total;
    this.#left = total;
  }

  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new Fault('ProtocolError', `the server sent more than ${this.#total} bytes altogether, which is the limit`);
  }
}

/** Time that is granted for saying goodbye, in milliseconds; a server that does not answer must not hold us. */
export const farewellMs = 1_000;

/** A server asked something of us although we declare no capability: `ping` is answered, the rest refused. */
export function answerTo(request: Extract<Message, { kind: 'Request' }>): Message {
  return request.method === 'ping'
    ? { kind: 'Result', id: request.id, result: {} }
    : { kind: 'Error', id: request.id, error: { code: -32601, message: 'This client only verifies; it answers ping alone' } };
}

/** `"…"` of something that the server sent, without our credentials. */
export function quote(exchange: Exchange, content: string | Uint8Array): string {
  return excerpt(content, exchange.secrets);
}
