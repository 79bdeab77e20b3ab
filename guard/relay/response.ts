import type { ServerResponse } from 'node:http';
import type { Answer } from '../answers.ts';
import { field, mediaType, responseHeaders } from '../headers.ts';
import type { JsonObject } from '../message/message.ts';
import { isObject, own } from '../message/message.ts';
import { OTHER } from '../metrics.ts';
import type { Exchange, ResponseSink, UpstreamFailure } from '../upstream/upstream.ts';
import { event, EventSplitter, readEvent, withData } from './events.ts';

/** What becomes of one JSON-RPC message from the server. */
export type Verdict =
  | { readonly action: 'pass' }
  | { readonly action: 'drop' }
  /** The JSON text that goes to the caller instead. */
  | { readonly action: 'replace'; readonly text: string };

export const PASS: Verdict = { action: 'pass' };
export const DROP: Verdict = { action: 'drop' };

/** How the response to one request is relayed. */
export interface ResponseRules {
  /** Bytes of one JSON body, and of one event of a stream. */
  readonly limit: number;
  /** The server has said everything. */
  ended?(): void;
  /** Whether a JSON body must be judged before its first byte is sent on. Events of a stream always are. */
  readonly judgeBody: boolean;
  /** Decides on one message from the server. `undefined` when the text is no JSON object. */
  judge(message: JsonObject | undefined, text: string): Verdict;
  /** Fields that replace the server's, once its head is known. */
  head(status: number, headers: readonly string[]): ReadonlyMap<string, string>;
  /** The id that the caller gives an event, when the server's own must not be shown. */
  eventId?(id: string): string;
  /** What the caller is told when the exchange fails before an answer. */
  failure(failure: UpstreamFailure): Answer;
}

/** What came of it, for audit and metrics. */
export interface ResponseOutcome {
  readonly status: number;
  /** Bytes of the body that were sent to the caller. */
  readonly bytes: number;
  /** The cause when the server failed or a limit was passed. */
  readonly failure: string | undefined;
}

/** JSON bodies up to this size are read after the fact to learn whether they carry an error, even if nothing depends on it. */
const OBSERVED_BYTES = 64 * 1024;

/** A body without any of these holds no error of a request or tool and no request of the server. The last one begins every escaped letter. */
const TELLING = ['error', 'isError', 'method', '\\u00'];
const EMPTY = Buffer.alloc(0);

/**
 * Relays one response. Bytes go on untouched and at once unless a verdict changes a message.
 *
 * Guarantees: `done` is called exactly once; nothing is written after the caller has gone; a slow caller pauses the server.
 */
export class ResponseRelay implements ResponseSink {
  readonly #response: ServerResponse;
  readonly #rules: ResponseRules;
  readonly #done: (outcome: ResponseOutcome) => void;
  #exchange: Exchange | undefined;
  #mode: 'waiting' | 'events' | 'whole' | 'through' | 'finished' = 'waiting';
  #status = 0;
  #raw: readonly string[] = [];
  #splitter: EventSplitter | undefined;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #sent = 0;
  /** The caller has gone, or its answer was finished by us: what still comes is read and forgotten. */
  #deaf = false;

  constructor(response: ServerResponse, rules: ResponseRules, done: (outcome: ResponseOutcome) => void) {
    this.#response = response;
    this.#rules = rules;
    this.#done = done;
    response.on('drain', () => this.#exchange?.resume());
  }

  /** The exchange to pause and to abort; given right after it was begun. */
  attach(exchange: Exchange): void {
    this.#exchange = exchange;
  }

  /** The caller has gone. With `abort` the server is told so; otherwise its answer is awaited and forgotten. */
  disconnected(abort: boolean): void {
    if (this.#mode === 'finished') return;
    this.#deaf = true;
    if (abort) {
      // Finished first: to be aborted is no failure of the exchange.
      this.#finish('the caller disconnected');
      this.#exchange?.abort();
    } else {
      this.#exchange?.resume();
    }
  }

  /** Whether the head of the answer is on its way: afterwards only a stream can still carry an answer of ours. */
  get streaming(): boolean {
    return this.#mode === 'events';
  }

  head(status: number, headers: readonly string[]): void {
    if (this.#mode !== 'waiting') return;
    this.#status = status;
    this.#raw = headers;
    const type = mediaType(field(headers, 'content-type'));
    const encoding = field(headers, 'content-encoding');
    const encoded = encoding !== undefined && encoding.toLowerCase() !== 'identity';
    if (type === 'text/event-stream') {
      if (encoded) {
        this.stop({ status: 502, cause: `the server answered with the encoding ${encoding}, which was not asked for` });
        return;
      }
      this.#mode = 'events';
      this.#splitter = new EventSplitter(this.#rules.limit);
      const replace = new Map([...this.#rules.head(status, headers), ['x-accel-buffering', 'no']]);
      this.#writeHead(responseHeaders(headers, { replace }));
      this.#response.flushHeaders();
      return;
    }
    if (this.#rules.judgeBody && type === 'application/json') {
      if (encoded) {
        this.stop({ status: 502, cause: `the server answered with the encoding ${encoding}, which was not asked for` });
        return;
      }
      this.#mode = 'whole';
      return;
    }
    this.#mode = 'through';
    this.#writeHead(responseHeaders(headers, { replace: this.#rules.head(status, headers) }));
  }

  data(chunk: Buffer): boolean {
    switch (this.#mode) {
      case 'events':
        return this.#events(chunk);
      case 'whole':
        this.#keptBytes += chunk.length;
        if (this.#keptBytes > this.#rules.limit) this.#tooLarge();
        else this.#kept.push(chunk);
        return true;
      case 'through':
        this.#keptBytes += chunk.length;
        if (this.#keptBytes > this.#rules.limit) {
          this.#tooLarge();
          return true;
        }
        if (this.#keptBytes <= OBSERVED_BYTES) this.#kept.push(chunk);
        return this.#write(chunk);
      default:
        return true;
    }
  }

  end(): void {
    this.#rules.ended?.();
    switch (this.#mode) {
      case 'events': {
        const rest = this.#splitter?.rest();
        if (rest !== undefined && rest.length > 0) this.#relayEvent(rest);
        break;
      }
      case 'whole':
        this.#wholeBody();
        break;
      case 'through':
        // The caller need not wait for what is only written down.
        if (!this.#deaf) this.#response.end();
        this.#observe();
        this.#finish(undefined);
        return;
      case 'waiting':
      case 'finished':
        return;
    }
    if (!this.#deaf) this.#response.end();
    this.#finish(undefined);
  }

  /** Learns whether an answer that went through carries an error. Most show at a glance that they do not. */
  #observe(): void {
    if (this.#keptBytes > OBSERVED_BYTES || mediaType(field(this.#raw, 'content-type')) !== 'application/json') return;
    const body = this.#kept.length === 1 ? (this.#kept[0] ?? EMPTY) : Buffer.concat(this.#kept);
    if (!TELLING.some((word) => body.includes(word))) return;
    const text = body.toString('utf8');
    this.#rules.judge(parse(text), text);
  }

  fail(failure: UpstreamFailure): void {
    if (this.#mode === 'finished') return;
    if (this.#mode === 'waiting' || this.#mode === 'whole') {
      this.#answer(this.#rules.failure(failure));
    } else if (!this.#deaf) {
      // The answer broke off in the middle: the caller sees what it would have seen without a guard.
      this.#response.destroy();
    }
    this.#finish(failure.cause);
  }

  /** Ends the exchange from our side. A caller that listens to a stream is told why in a last event. */
  stop(failure: UpstreamFailure): void {
    if (this.#mode === 'finished') return;
    if (this.#mode === 'events' && !this.#deaf) {
      const answer = this.#rules.failure(failure);
      if (answer.body !== undefined) this.#write(event(answer.body));
      this.#response.end();
      this.#finish(failure.cause);
    } else {
      this.fail(failure);
    }
    this.#exchange?.abort();
  }

  /** Ends a stream cleanly, as a server may at any time. */
  close(): void {
    if (this.#mode === 'finished') return;
    if (!this.#deaf) this.#response.end();
    this.#finish(undefined);
    this.#exchange?.abort();
  }

  /** Writes a message of ours into a running stream. */
  inject(text: string): void {
    if (this.#mode === 'events') this.#write(event(text));
  }

  #events(chunk: Buffer): boolean {
    const blocks = this.#splitter?.push(chunk);
    if (blocks === undefined) {
      this.#tooLarge();
      return true;
    }
    let open = true;
    for (const block of blocks) open = this.#relayEvent(block) && open;
    return open;
  }

  #relayEvent(block: Buffer): boolean {
    const read = readEvent(block);
    const id = read.id;
    if (read.data === undefined || read.data === '') return this.#write(this.#renamed(block, id));
    const verdict = this.#rules.judge(parse(read.data), read.data);
    if (verdict.action === 'drop') return true;
    if (verdict.action === 'pass') return this.#write(this.#renamed(block, id));
    return this.#write(this.#renamed(withData(read, verdict.text), id));
  }

  /** The block with the event id that the caller may know. */
  #renamed(block: Buffer, id: string | undefined): Buffer {
    if (id === undefined || id === '' || this.#rules.eventId === undefined) return block;
    const sealed = this.#rules.eventId(id);
    return Buffer.from(block.toString('utf8').replace(/^(\uFEFF?)id:[^\r\n]*|(?<=[\r\n])id:[^\r\n]*/gu, () => `id: ${sealed}`));
  }

  #wholeBody(): void {
    const body = this.#kept.length === 1 ? (this.#kept[0] ?? EMPTY) : Buffer.concat(this.#kept);
    const text = body.toString('utf8');
    const verdict = this.#rules.judge(parse(text), text);
    const replace = this.#rules.head(this.#status, this.#raw);
    if (verdict.action === 'pass') {
      this.#writeHead(responseHeaders(this.#raw, { replace }));
      this.#write(body);
      return;
    }
    const changed = Buffer.from(verdict.action === 'replace' ? verdict.text : '');
    this.#writeHead(responseHeaders(this.#raw, { replace, length: changed.length }));
    this.#write(changed);
  }

  #tooLarge(): void {
    this.stop({ status: 502, cause: `the server's answer exceeds ${this.#rules.limit} bytes` });
  }

  #answer(answer: Answer): void {
    this.#status = answer.status;
    if (this.#deaf) return;
    const body = answer.body ?? '';
    this.#sent += Buffer.byteLength(body);
    const headers = new Map([...this.#rules.head(answer.status, []), ...(answer.headers ?? [])]);
    this.#response.writeHead(answer.status, responseHeaders([], { replace: headers, length: Buffer.byteLength(body) }));
    this.#response.end(body);
  }

  #writeHead(headers: string[]): void {
    if (!this.#deaf) this.#response.writeHead(this.#status, headers);
  }

  #write(chunk: Buffer): boolean {
    this.#sent += chunk.length;
    return this.#deaf || chunk.length === 0 || this.#response.write(chunk);
  }

  #finish(failure: string | undefined): void {
    this.#mode = 'finished';
    this.#kept = [];
    this.#done({ status: this.#status, bytes: this.#sent, failure });
  }
}

function parse(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** How a response message ended: a JSON-RPC code, `tool_error`, or nothing to complain about. Source: OpenTelemetry MCP conventions. */
export function errorType(message: JsonObject): string | undefined {
  const error = own(message, 'error');
  if (isObject(error)) {
    const code = own(error, 'code');
    // Anything else could be a text of the server's choosing.
    return typeof code === 'number' && Number.isSafeInteger(code) ? String(code) : OTHER;
  }
  const result = own(message, 'result');
  return isObject(result) && own(result, 'isError') === true ? 'tool_error' : undefined;
}
