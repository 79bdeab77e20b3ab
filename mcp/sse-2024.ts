import { setTimeout as delay } from 'node:timers/promises';
import { answerTo, farewellMs, quote, type Connection, type Dialect, type Exchange, type RequestOptions } from './connection.ts';
import { Fault, RefusedError } from './fault.ts';
import { header, mediaType, place, type HttpResponse } from './http.ts';
import { MessageError, parseMessages, serialize, type Id, type JsonObject, type Message } from './jsonrpc.ts';
import { networkFault } from './network-fault.ts';
import { SseLimitError, SseParser, type SseEvent } from './sse.ts';
import { statusFault } from './status-fault.ts';

type Answer = Extract<Message, { kind: 'Result' | 'Error' }>;

/** One GET stream and where to POST, told by its first event. */
interface Stream {
  readonly endpoint: URL;
}

const mostAnswers = 32;

/** HTTP+SSE of 2024-11-05: answers arrive on one GET stream, messages go by POST to the address that its `endpoint` event names. */
export class Sse2024Connection implements Connection {
  dialect: Dialect | undefined;
  readonly #exchange: Exchange;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pending = new Map<Id, PromiseWithResolvers<Answer>>();
  #stream: Promise<Stream> | undefined;
  #reading: Promise<void> = Promise.resolve();
  #broken: unknown;
  #lastId = 0;
  #answers = 0;
  #messages = 0;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#signal = AbortSignal.any([exchange.signal, this.#closing.signal]);
  }

  async request(method: string, params: JsonObject, options: RequestOptions = {}): Promise<JsonObject> {
    const { endpoint } = await (this.#stream ??= this.#open());
    this.#exchange.progress.waitingFor = `an answer to ${method}`;
    const id = ++this.#lastId;
    const pending = Promise.withResolvers<Answer>();
    // Whoever waits takes the rejection below; a POST that fails first must not leave it unhandled.
    pending.promise.catch(() => undefined);
    this.#messages = 0;
    if (this.#broken !== undefined) throw this.#broken;
    this.#pending.set(id, pending);
    const abort = () => pending.reject(options.signal?.reason);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      await this.#post({ kind: 'Request', id, method, params }, method, endpoint);
      const answer = await pending.promise;
      if (answer.kind === 'Error') throw new RefusedError(200, answer.error);
      return answer.result;
    } finally {
      options.signal?.removeEventListener('abort', abort);
      this.#pending.delete(id);
    }
  }

  async notify(method: string, params?: JsonObject): Promise<void> {
    const { endpoint } = await (this.#stream ??= this.#open());
    await this.#post({ kind: 'Notification', method, ...(params === undefined ? {} : { params }) }, method, endpoint);
  }

  async close(): Promise<void> {
    // The session is the stream: it ends with it.
    this.#closing.abort();
    await Promise.race([this.#reading, delay(farewellMs, undefined, { ref: false })]);
  }

  async #open(): Promise<Stream> {
    const { target, progress } = this.#exchange;
    progress.waitingFor = 'the event stream';
    const response = await this.#send('GET', target.url, { accept: 'text/event-stream' });
    if (response.status !== 200 || mediaType(response) !== 'text/event-stream') throw await this.#strange(response, 'GET', target.url);
    progress.waitingFor = 'the endpoint event';
    const events = this.#events(response);
    const first = await events.next();
    if (first.done === true) throw new Fault('ProtocolError', 'the event stream ended without an endpoint event');
    const endpoint = endpointOf(first.value, target.url);
    if (endpoint === undefined) {
      await events.return(undefined);
      throw new Fault(
        'ProtocolError',
        `the first event must be "endpoint" with an address on the same host, but it is "${first.value.event}" with ${quote(this.#exchange, first.value.data)}`,
      );
    }
    this.#reading = this.#read(events);
    return { endpoint };
  }

  async #read(events: AsyncGenerator<SseEvent, void, void>): Promise<void> {
    let reason: unknown = new Fault('ProtocolError', 'the event stream ended while an answer was due');
    try {
      for await (const event of events) {
        if (event.event !== 'message') continue;
        for (const message of this.#eventMessages(event.data)) this.#take(message);
      }
    } catch (error) {
      reason = error;
    }
    this.#broken = reason;
    for (const pending of this.#pending.values()) pending.reject(reason);
  }

  #take(message: Message): void {
    if ((message.kind === 'Result' || message.kind === 'Error') && message.id !== undefined) {
      this.#pending.get(message.id)?.resolve(message);
      return;
    }
    if (++this.#messages > this.#exchange.limits.messages)
      throw new Fault('ProtocolError', `more than ${this.#exchange.limits.messages} messages came before an answer`);
    this.#exchange.onMessage?.(message);
    if (message.kind !== 'Request' || ++this.#answers > mostAnswers) return;
    // The server decides what a refused answer means; its own answer follows, or the deadline.
    void this.#stream?.then(({ endpoint }) => this.#post(answerTo(message), 'an answer', endpoint)).catch(() => undefined);
  }

  #eventMessages(data: string): readonly Message[] {
    try {
      return parseMessages(data, this.#exchange.limits.depth);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      throw new Fault('ProtocolError', `an event is not MCP: ${error.message}; it begins with ${quote(this.#exchange, data)}`);
    }
  }

  async *#events(response: HttpResponse): AsyncGenerator<SseEvent, void, void> {
    const parser = new SseParser(this.#exchange.limits.messageBytes);
    try {
      for await (const chunk of response.body) {
        this.#exchange.budget.take(chunk.byteLength);
        yield* parser.push(chunk);
      }
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      if (error instanceof SseLimitError) throw new Fault('ProtocolError', `on the event stream ${error.message}`);
      if (error instanceof Fault) throw error;
      throw new Fault('ProtocolError', 'the event stream broke', {}, { cause: error });
    } finally {
      response.cancel();
    }
  }

  async #post(message: Message, method: string, endpoint: URL): Promise<void> {
    const version = this.dialect === undefined || method === 'initialize' ? {} : { 'mcp-protocol-version': this.dialect.revision };
    const response = await this.#send('POST', endpoint, { 'content-type': 'application/json', ...version }, serialize(message));
    if (response.status < 200 || response.status >= 300) throw await this.#strange(response, method, endpoint);
    response.cancel();
  }

  async #send(method: 'GET' | 'POST', url: URL, extra: Readonly<Record<string, string>>, body?: string): Promise<HttpResponse> {
    const headers = { ...this.#exchange.target.headers, 'accept-encoding': 'identity', ...extra };
    try {
      return await this.#exchange.send({
        method,
        url,
        headers,
        signal: this.#signal,
        aside: method === 'GET',
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      throw networkFault(error, url);
    }
  }

  async #strange(response: HttpResponse, method: string, url: URL): Promise<Fault> {
    const text = await beginning(response, 4096);
    return statusFault({
      status: response.status,
      type: mediaType(response),
      location: header(response, 'location'),
      challenge: header(response, 'www-authenticate'),
      hadSession: method !== 'GET' && method !== 'initialize',
      method,
      place: place(url),
      host: url.host,
      text,
      quoted: text === '' ? 'nothing' : quote(this.#exchange, text),
    });
  }
}

/** The address in an `endpoint` event. Another host would get our credentials: not followed. */
export function endpointOf(event: SseEvent, base: URL): URL | undefined {
  const text = event.data.trim();
  if (event.event !== 'endpoint' || text === '' || !URL.canParse(text, base.href)) return undefined;
  const url = new URL(text, base);
  return url.origin === base.origin && url.username === '' && url.password === '' ? url : undefined;
}

/** At most `limit` bytes of a body; the rest is not read. */
async function beginning(response: HttpResponse, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size >= limit) break;
  }
  response.cancel();
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, limit));
}
