import { setTimeout as delay } from 'node:timers/promises';
import { answerTo, farewellMs, quote, type Connection, type Dialect, type Exchange, type RequestOptions } from './connection.ts';
import { Fault, RefusedError } from './fault.ts';
import { headerValue } from './header-value.ts';
import { header, mediaType, place, type HttpRequest, type HttpResponse } from './http.ts';
import { isObject, MessageError, parseMessages, serialize, type Id, type JsonObject, type Message } from './jsonrpc.ts';
import { networkFault } from './network-fault.ts';
import { SseLimitError, SseParser } from './sse.ts';
import { statusFault } from './status-fault.ts';

/** Answers to server requests are POSTs of ours; a server that asks more often than this per exchange is not answered any more. */
const mostAnswers = 32;
/** A legacy server may end a stream before the answer and ask us to come back (SEP-1699); so often we do. */
const mostResumptions = 16;
/** How long a stream may take to end after its answer, in milliseconds. */
const graceMs = 100;
/** Upper bound of the wait that `retry:` asks for, in milliseconds. */
const longestRetry = 5_000;
/** Sessions that we clean up: a confused server hands out one per request. */
const mostSessions = 8;

/** Methods whose subject is repeated in `Mcp-Name` (SEP-2243), and the parameter that holds it. */
const nameParameter: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' };

/** Streamable HTTP of both eras. Until `dialect` is set, requests carry no era's headers but those given. */
export class StreamableHttpConnection implements Connection {
  dialect: Dialect | undefined;
  readonly #exchange: Exchange;
  readonly #sessions: string[] = [];
  #url: URL;
  #session: string | undefined;
  #lastId = 0;
  #answers = 0;
  #answered = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.#url = exchange.target.url;
  }

  async request(method: string, params: JsonObject, options: RequestOptions = {}): Promise<JsonObject> {
    const id = ++this.#lastId;
    this.#exchange.progress.waitingFor = `an answer to ${method}`;
    const signal = options.signal ?? this.#exchange.signal;
    const body = serialize({ kind: 'Request', id, method, params: this.#withMeta(params) });
    const headers = { ...this.#headersFor(method, params), ...options.headers };
    // Only a tool call may have had an effect already when the connection breaks.
    const response = await this.#post(body, headers, signal, { repeatable: method !== 'tools/call' });
    const answer = await this.#answer(response, id, method, signal);
    if (answer.kind === 'Error') throw new RefusedError(response.status, answer.error);
    return answer.result;
  }

  async notify(method: string, params?: JsonObject): Promise<void> {
    this.#exchange.progress.waitingFor = `the acceptance of ${method}`;
    const message: Message = { kind: 'Notification', method, ...(params === undefined ? {} : { params }) };
    await this.#deliver(message, this.#exchange.signal);
  }

  async close(): Promise<void> {
    const signal = AbortSignal.timeout(farewellMs);
    const revision = this.dialect?.era === 'Legacy' ? { 'mcp-protocol-version': this.dialect.revision } : {};
    const farewells = this.#sessions.map(async (session) => {
      // 405 is allowed: the server ends sessions by itself. So is every other failure: we have done what we can.
      const headers = { ...this.#exchange.target.headers, ...revision, 'mcp-session-id': session };
      const response = await this.#send({ method: 'DELETE', headers, signal });
      response.cancel();
    });
    await Promise.allSettled(farewells);
  }

  #headersFor(method: string, params: JsonObject): Readonly<Record<string, string>> {
    if (this.dialect === undefined) return {};
    const version = { 'mcp-protocol-version': this.dialect.revision };
    if (this.dialect.era === 'Legacy') return method === 'initialize' ? {} : version;
    const key = nameParameter[method];
    const name = key === undefined ? undefined : params[key];
    return { ...version, 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': headerValue(name) } : {}) };
  }

  #withMeta(params: JsonObject): JsonObject {
    if (this.dialect?.era !== 'Modern') return params;
    const { client } = this.#exchange;
    const meta = {
      'io.modelcontextprotocol/protocolVersion': this.dialect.revision,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: client.name, version: client.version },
    };
    return { ...params, _meta: { ...(isObject(params['_meta']) ? params['_meta'] : {}), ...meta } };
  }

  async #post(
    body: string,
    extra: Readonly<Record<string, string>>,
    signal: AbortSignal,
    { repeatable = true, aside = false }: { readonly repeatable?: boolean; readonly aside?: boolean } = {},
  ): Promise<HttpResponse> {
    const headers = {
      ...this.#exchange.target.headers,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...extra,
    };
    const request = { method: 'POST', headers, body, signal, aside } as const;
    const response = await this.#send(request, repeatable);
    if (response.status !== 307 && response.status !== 308) return response;
    const location = slashRedirect(header(response, 'location'), this.#url);
    if (location === undefined) return response;
    response.cancel();
    this.#url = location;
    return this.#send(request, repeatable);
  }

  /** A server may close an idle connection just when we use it again: what may be repeated is sent once more. */
  async #send(request: Omit<HttpRequest, 'url'>, repeatable = true): Promise<HttpResponse> {
    const session = this.#session === undefined ? {} : { 'mcp-session-id': this.#session };
    // Identity: a compressed bomb would pass every limit on bytes.
    const headers = { ...session, ...request.headers, 'accept-encoding': 'identity' };
    for (let again = repeatable && this.#answered; ; again = false) {
      try {
        const response = await this.#exchange.send({ ...request, headers, url: this.#url });
        this.#answered = true;
        this.#noteSession(header(response, 'mcp-session-id'));
        return response;
      } catch (error) {
        if (request.signal.aborted) throw request.signal.reason;
        const fault = networkFault(error, this.#url);
        if (!again || fault.details.hungUp !== true) throw fault;
      }
    }
  }

  /** Any answer may open a session, also a refusal: whatever id we see is ended in `close`. Modern servers have none. */
  #noteSession(session: string | undefined): void {
    if (this.dialect?.era === 'Modern' && this.#lastId > 1) return;
    if (session === undefined || !/^[\x21-\x7e]{1,1024}$/.test(session)) return;
    if (!this.#sessions.includes(session) && this.#sessions.length < mostSessions) this.#sessions.push(session);
    if (this.dialect?.era === 'Legacy' && this.#session === undefined) this.#session = session;
  }

  async #answer(
    response: HttpResponse,
    id: Id,
    method: string,
    signal: AbortSignal,
  ): Promise<Extract<Message, { kind: 'Result' | 'Error' }>> {
    const type = mediaType(response);
    const encoding = header(response, 'content-encoding');
    if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
      response.cancel();
      throw new Fault('ProtocolError', `the answer to ${method} is compressed although that was not allowed`);
    }
    const good = response.status >= 200 && response.status < 300;
    if (good && type === 'text/event-stream') return this.#streamed(response, id, method, signal);
    const limit = good ? this.#exchange.limits.messageBytes : 64 * 1024;
    const text = await this.#text(response, limit, method, signal);
    const answer = type === 'application/json' ? this.#find(text, id, method, good) : undefined;
    if (answer?.kind === 'Error' && ![401, 403, 421].includes(response.status)) return answer;
    if (answer?.kind === 'Result' && good) return answer;
    throw statusFault({
      status: response.status,
      type,
      location: header(response, 'location'),
      challenge: header(response, 'www-authenticate'),
      hadSession: this.#session !== undefined,
      method,
      place: place(this.#url),
      host: this.#url.host,
      text,
      quoted: text === '' ? 'nothing' : quote(this.#exchange, text),
    });
  }

  /** The answer with our id. A failed status may carry any JSON, or an error that names no id. */
  #find(text: string, id: Id, method: string, strict: boolean): Extract<Message, { kind: 'Result' | 'Error' }> | undefined {
    let messages;
    try {
      messages = parseMessages(text, this.#exchange.limits.depth);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      if (!strict) return undefined;
      throw new Fault(
        'ProtocolError',
        `the answer to ${method} is not MCP: ${error.message}; it begins with ${quote(this.#exchange, text)}`,
      );
    }
    for (const message of messages) {
      if (message.kind === 'Error' && (message.id === id || message.id === undefined)) return message;
      if (message.kind === 'Result' && message.id === id) return message;
    }
    if (!strict) return undefined;
    throw new Fault('ProtocolError', `the answer to ${method} belongs to another request: ${quote(this.#exchange, text)}`);
  }

  async #streamed(
    first: HttpResponse,
    id: Id,
    method: string,
    signal: AbortSignal,
  ): Promise<Extract<Message, { kind: 'Result' | 'Error' }>> {
    let response = first;
    let lastEventId: string | undefined;
    let messages = 0;
    for (let resumption = 0; ; resumption++) {
      const parser = new SseParser(this.#exchange.limits.messageBytes);
      for await (const event of this.#events(response, parser, method, signal)) {
        for (const message of this.#eventMessages(event.data, method)) {
          if ((message.kind === 'Result' || message.kind === 'Error') && message.id === id) return message;
          if (++messages > this.#exchange.limits.messages)
            throw new Fault('ProtocolError', `more than ${this.#exchange.limits.messages} messages came before the answer to ${method}`);
          await this.#incidental(message, signal);
        }
      }
      lastEventId = parser.lastEventId ?? lastEventId;
      if (this.dialect?.era !== 'Legacy' || lastEventId === undefined || resumption >= mostResumptions) {
        throw new Fault('ProtocolError', `the event stream ended without the answer to ${method}`);
      }
      await delay(Math.min(parser.retryMs ?? 0, longestRetry), undefined, { signal });
      const headers = {
        ...this.#exchange.target.headers,
        accept: 'text/event-stream',
        'mcp-protocol-version': this.dialect.revision,
        'last-event-id': lastEventId,
      };
      response = await this.#send({ method: 'GET', headers, signal });
      if (response.status !== 200 || mediaType(response) !== 'text/event-stream') {
        response.cancel();
        throw new Fault(
          'ProtocolError',
          `the event stream ended without the answer to ${method}, and resuming it gave HTTP ${response.status}`,
        );
      }
    }
  }

  async *#events(response: HttpResponse, parser: SseParser, method: string, signal: AbortSignal) {
    const chunks = response.body[Symbol.asyncIterator]();
    let over = false;
    try {
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
        this.#exchange.budget.take(next.value.byteLength);
        yield* parser.push(next.value);
      }
      over = true;
    } catch (error) {
      over = true;
      if (signal.aborted) throw signal.reason;
      if (error instanceof SseLimitError) throw new Fault('ProtocolError', `in the answer to ${method} ${error.message}`);
      throw cut(error, method);
    } finally {
      // A session may depend on the connection, and that on the stream's proper end.
      if (!over && this.dialect?.era === 'Legacy') await remainder(chunks);
      response.cancel();
    }
  }

  #eventMessages(data: string, method: string): readonly Message[] {
    // The priming event of resumable streams has an id and no data.
    if (data === '') return [];
    try {
      return parseMessages(data, this.#exchange.limits.depth);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      throw new Fault(
        'ProtocolError',
        `an event in the answer to ${method} is not MCP: ${error.message}; it begins with ${quote(this.#exchange, data)}`,
      );
    }
  }

  /** What arrives on the stream besides the answer. Server requests exist only in the legacy era. */
  async #incidental(message: Message, signal: AbortSignal): Promise<void> {
    this.#exchange.onMessage?.(message);
    if (message.kind !== 'Request' || this.dialect?.era !== 'Legacy' || ++this.#answers > mostAnswers) return;
    await this.#deliver(answerTo(message), signal, true).catch((error: unknown) => {
      // The server decides what a refused answer means; its own answer follows, or the deadline.
      if (signal.aborted) throw error;
    });
  }

  /** POSTs what has no answer: a notification, or our answer to a server's request. */
  async #deliver(message: Message, signal: AbortSignal, aside = false): Promise<void> {
    const method = message.kind === 'Notification' ? message.method : 'an answer';
    const response = await this.#post(serialize(message), this.#headersFor(method, {}), signal, { aside });
    const good = response.status >= 200 && response.status < 300;
    if (good && mediaType(response) === 'text/event-stream') {
      response.cancel();
      return;
    }
    // Read to the end, so that the connection can be used again.
    const text = await this.#text(response, 64 * 1024, method, signal);
    if (good) return;
    const quoted = text === '' ? 'nothing' : quote(this.#exchange, text);
    throw statusFault({
      status: response.status,
      type: mediaType(response),
      location: header(response, 'location'),
      challenge: header(response, 'www-authenticate'),
      hadSession: this.#session !== undefined,
      method,
      place: place(this.#url),
      host: this.#url.host,
      text,
      quoted,
    });
  }

  async #text(response: HttpResponse, limit: number, method: string, signal: AbortSignal): Promise<string> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    try {
      for await (const chunk of response.body) {
        this.#exchange.budget.take(chunk.byteLength);
        size += chunk.byteLength;
        if (size > limit)
          throw new Fault(
            'ProtocolError',
            `the answer to ${method} (HTTP ${response.status}) is larger than ${limit} bytes, which is the limit`,
          );
        chunks.push(chunk);
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw cut(error, method);
    } finally {
      response.cancel();
    }
    return new TextDecoder().decode(Buffer.concat(chunks));
  }
}

function cut(error: unknown, method: string): Fault {
  if (error instanceof Fault) return error;
  return new Fault('ProtocolError', `the connection broke in the middle of the answer to ${method}`, {}, { cause: error });
}

/** Reads on to the end of a stream that has said what it had to say, but not for long. */
async function remainder(chunks: AsyncIterator<Uint8Array>): Promise<void> {
  const given = new AbortController();
  const late = delay(graceMs, { done: true } as const, { signal: given.signal }).catch(() => ({ done: true }) as const);
  try {
    for (let next = await Promise.race([chunks.next(), late]); next.done !== true; next = await Promise.race([chunks.next(), late]));
  } catch {
    // The answer is there already: how the stream ends does not matter.
  } finally {
    given.abort();
  }
}

/**
 * A redirect that only adds or removes a slash at the end of the path (many frameworks do). No other redirect is followed: it could lead us, with our
 * credentials, to an address that the server chooses.
 */
export function slashRedirect(location: string | undefined, from: URL): URL | undefined {
  if (location === undefined || !URL.canParse(location, from.href)) return undefined;
  const to = new URL(location, from);
  const same = to.origin === from.origin && to.search === from.search && to.username === '' && to.password === '';
  return same && to.pathname !== from.pathname && withoutSlash(to) === withoutSlash(from) ? to : undefined;
}

function withoutSlash(url: URL): string {
  return url.pathname.replace(/\/$/, '');
}
