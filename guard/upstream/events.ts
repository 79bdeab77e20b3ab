import { field, mediaType } from '../headers.ts';
import { EventSplitter, readEvent } from '../relay/events.ts';
import type { HttpUpstream } from './http.ts';
import type { Link, LinkHandlers } from './link/link.ts';
import type { Exchange } from './upstream.ts';
import { nobody } from './upstream.ts';

/** Bytes that one event may have. */
const MAXIMUM_EVENT = 64 * 1024 * 1024;

/** Fields of a streamable HTTP request that mean nothing to a server of 2024-11-05, or that each request here has of its own. */
const DROPPED = /^(?:accept|content-type|content-length|mcp-session-id|mcp-protocol-version|last-event-id)$/i;

/**
 * One session of an HTTP+SSE server: an event stream for what the server says, POSTs to the address that its first event names.
 * Source: MCP specification 2024-11-05, basic/transports, "HTTP with SSE".
 */
export class EventLink implements Link {
  readonly #server: HttpUpstream;
  readonly #base: URL;
  readonly #handlers: LinkHandlers;
  readonly #headers: readonly string[];
  readonly #opened = Promise.withResolvers<boolean>();
  readonly #splitter = new EventSplitter(MAXIMUM_EVENT);
  readonly #stream: Exchange;
  #waiting: string[] = [];
  #endpoint: URL | undefined;
  #closed = false;

  constructor(server: HttpUpstream, base: URL, handlers: LinkHandlers, headers: readonly string[]) {
    this.#server = server;
    this.#base = base;
    this.#handlers = handlers;
    this.#headers = kept(headers);
    let status = 0;
    let head: readonly string[] = [];
    this.#stream = server.send(
      { method: 'GET', query: '', headers: ['accept', 'text/event-stream', ...this.#headers], body: undefined, caller: nobody },
      {
        head: (received, fields) => {
          status = received;
          head = fields;
          if (status !== 200 || mediaType(field(fields, 'content-type')) !== 'text/event-stream') {
            this.#end(
              `the server answered the request for its event stream with ${status}`,
              status >= 400 ? { status, headers: head } : undefined,
            );
          }
        },
        data: (chunk) => {
          this.#take(chunk);
          return true;
        },
        end: () => this.#end('the server ended its event stream'),
        fail: (failure) => this.#end(failure.cause),
      },
    );
  }

  opened(): Promise<boolean> {
    return this.#opened.promise;
  }

  send(text: string): void {
    if (this.#closed) return;
    if (this.#endpoint === undefined) {
      this.#waiting.push(text);
      return;
    }
    this.#server.send(
      {
        method: 'POST',
        path: this.#endpoint.pathname,
        query: this.#endpoint.search,
        headers: ['content-type', 'application/json', ...this.#headers],
        body: Buffer.from(text),
        caller: nobody,
      },
      {
        head: (status) => {
          // The answer comes on the stream; a server that refuses the message will not give one.
          if (status >= 400) this.#end(`the server refused a message with ${status}`);
        },
        data: () => true,
        end: () => undefined,
        fail: (failure) => this.#end(failure.cause),
      },
    );
  }

  close(): void {
    this.#end('the session was closed');
  }

  #take(chunk: Buffer): void {
    const blocks = this.#closed ? [] : this.#splitter.push(chunk);
    if (blocks === undefined) {
      this.#end(`the server sent an event of more than ${MAXIMUM_EVENT} bytes`);
      return;
    }
    for (const block of blocks) {
      const { event, data } = readEvent(block);
      if (data === undefined) continue;
      if (event === 'endpoint') this.#found(data);
      else this.#handlers.message(data);
    }
  }

  /** Where to post, once. Another host would get the caller's messages, and perhaps its credential. */
  #found(address: string): void {
    if (this.#endpoint !== undefined) return;
    const endpoint = URL.canParse(address, this.#base.href) ? new URL(address, this.#base) : undefined;
    if (endpoint?.origin !== this.#base.origin) {
      this.#end('the server named an address for messages on another host');
      return;
    }
    this.#endpoint = endpoint;
    this.#opened.resolve(true);
    for (const text of this.#waiting.splice(0)) this.send(text);
  }

  #end(reason: string, refusal?: Parameters<LinkHandlers['closed']>[1]): void {
    if (this.#closed) return;
    this.#closed = true;
    // The handlers hear of it from a later tick, as they may not be there yet.
    queueMicrotask(() => {
      this.#handlers.closed(reason, refusal);
      this.#opened.resolve(false);
      this.#stream.abort();
    });
  }
}

function kept(headers: readonly string[]): readonly string[] {
  const fields: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    if (!DROPPED.test(headers[at] ?? '')) fields.push(headers[at] ?? '', headers[at + 1] ?? '');
  }
  return fields;
}
