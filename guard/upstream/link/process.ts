import type { JsonObject } from '../../message/message.ts';
import { isObject, own } from '../../message/message.ts';
import type { Edit } from '../../message/spans.ts';
import { edited, spanAt } from '../../message/spans.ts';
import type { Link, LinkRefusal, OpenLink } from './link.ts';
import type { Reply } from './reply.ts';

/** One client of a process. */
export interface Participant {
  /** What the client can do for the server, as it declared; asking for anything else is refused in its place. */
  readonly capabilities: JsonObject;
  /** Resources whose updates it wants. */
  readonly subscriptions: Set<string>;
  /** Its open stream for messages that belong to no call. Returns false while it takes nothing. */
  stream: ((text: string) => void) | undefined;
}

export interface ProcessOptions {
  readonly open: OpenLink;
  /** Fields of the request that the process is started for. */
  readonly headers: readonly string[];
  readonly closed: () => void;
  /** A line that is no message. */
  readonly stray: (line: string) => void;
  /** The server's lists have changed. */
  readonly listChanged: () => void;
}

interface Running {
  readonly participant: Participant;
  /** The caller's id, and its progress token, as it wrote them. */
  readonly id: string;
  readonly token: string | undefined;
  readonly reply: Reply;
}

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);

/**
 * One child process, or one session of an HTTP+SSE server, that any number of clients share. Ids and progress tokens are made unique towards the child and restored towards the
 * client; every other byte of a message stays.
 *
 * Guarantees: a message of the server reaches the client that it belongs to or nobody. What names no request is given to the only client
 * that has calls in flight; with several, it cannot be known whose it is: notifications are dropped, requests refused.
 */
export class ServerProcess {
  readonly #options: ProcessOptions;
  readonly #link: Link;
  readonly #running = new Map<number, Running>();
  readonly #own = new Map<number, (text: string | undefined) => void>();
  readonly #asked = new Map<string, Participant>();
  readonly #participants = new Set<Participant>();
  #nextId = 1;
  #alive = true;
  #refusal: LinkRefusal | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
    const handlers = {
      message: (text: string) => this.#message(text),
      closed: (reason: string, refusal?: LinkRefusal) => this.#closed(reason, refusal),
    };
    this.#link = options.open(handlers, options.headers);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** The server's own answer when it refused the connection. */
  get refusal(): LinkRefusal | undefined {
    return this.#refusal;
  }

  /** Calls in flight. */
  get calls(): number {
    return this.#running.size;
  }

  opened(): Promise<boolean> {
    return this.#link.opened();
  }

  join(participant: Participant): void {
    this.#participants.add(participant);
  }

  leave(participant: Participant): void {
    this.#participants.delete(participant);
    for (const [id, asked] of this.#asked) if (asked === participant) this.#asked.delete(id);
  }

  close(): void {
    this.#link.close();
  }

  /** A request of the guard itself. Resolves with the text of the answer, `undefined` when the process ended. */
  ask(method: string, params: object): Promise<string | undefined> {
    const id = this.#id();
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    if (!this.#alive) return Promise.resolve(undefined);
    this.#own.set(id, resolve);
    this.#link.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return promise;
  }

  /** Sends a client's request. The function that comes back cancels it. */
  call(participant: Participant, text: string, reply: Reply): () => void {
    const id = this.#id();
    const edits: Edit[] = [];
    const idSpan = spanAt(text, ['id']);
    if (idSpan !== undefined) edits.push({ ...idSpan, text: String(id) });
    const tokenSpan = spanAt(text, ['params', '_meta', 'progressToken']);
    if (tokenSpan !== undefined) edits.push({ ...tokenSpan, text: String(id) });
    const running: Running = {
      participant,
      id: idSpan === undefined ? 'null' : text.slice(idSpan.start, idSpan.end),
      token: tokenSpan === undefined ? undefined : text.slice(tokenSpan.start, tokenSpan.end),
      reply,
    };
    if (!this.#alive) {
      reply.fail(ENDED, failure(running.id, ENDED));
      return () => undefined;
    }
    this.#running.set(id, running);
    this.#link.send(edited(text, edits));
    return () => {
      if (!this.#running.delete(id)) return;
      this.#link.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }));
    };
  }

  /** Sends a client's notification; one that cancels a call names the client's own call or nothing. */
  notify(participant: Participant, text: string): void {
    const span = spanAt(text, ['params', 'requestId']);
    if (span === undefined) {
      this.#link.send(text);
      return;
    }
    const wanted = text.slice(span.start, span.end);
    for (const [id, running] of this.#running) {
      if (running.participant === participant && running.id === wanted) this.#link.send(edited(text, [{ ...span, text: String(id) }]));
    }
  }

  /** Sends a client's answer to a question of the server; whether there was such a question to this client. */
  answer(participant: Participant, text: string): boolean {
    const span = spanAt(text, ['id']);
    const id = span === undefined ? '' : text.slice(span.start, span.end);
    if (this.#asked.get(id) !== participant) return false;
    this.#asked.delete(id);
    this.#link.send(text);
    return true;
  }

  #id(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  #message(text: string): void {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      message = undefined;
    }
    if (!isObject(message)) {
      this.#options.stray(text);
      return;
    }
    const method = own(message, 'method');
    if (typeof method !== 'string') this.#response(message, text);
    else if (own(message, 'id') === undefined) this.#notification(method, message, text);
    else this.#question(method, message, text);
  }

  #response(message: JsonObject, text: string): void {
    const id = own(message, 'id');
    if (typeof id !== 'number') return;
    const resolve = this.#own.get(id);
    if (resolve !== undefined) {
      this.#own.delete(id);
      resolve(text);
      return;
    }
    const running = this.#running.get(id);
    const span = spanAt(text, ['id']);
    if (running === undefined || span === undefined) return;
    this.#running.delete(id);
    running.reply.result(edited(text, [{ ...span, text: running.id }]));
  }

  #notification(method: string, message: JsonObject, text: string): void {
    const params = own(message, 'params');
    const meta = isObject(params) ? own(params, '_meta') : undefined;
    const subscription = isObject(meta) ? own(meta, SUBSCRIPTION) : undefined;
    if (subscription !== undefined) {
      this.#toCall(subscription, text, ['params', '_meta', SUBSCRIPTION], (running) => running.id);
    } else if (method === 'notifications/progress') {
      const token = isObject(params) ? own(params, 'progressToken') : undefined;
      this.#toCall(token, text, ['params', 'progressToken'], (running) => running.token);
    } else if (method.endsWith('/list_changed')) {
      this.#options.listChanged();
      for (const participant of this.#participants) participant.stream?.(text);
    } else if (method === 'notifications/resources/updated') {
      const uri = isObject(params) ? own(params, 'uri') : undefined;
      for (const participant of this.#participants) {
        if (typeof uri === 'string' && participant.subscriptions.has(uri)) participant.stream?.(text);
      }
    } else {
      this.#toOnly(text);
    }
  }

  /** Gives a notification to the call that it names, with the caller's own name for it. */
  #toCall(name: unknown, text: string, path: readonly string[], ownName: (running: Running) => string | undefined): void {
    const running = typeof name === 'number' ? this.#running.get(name) : undefined;
    const span = spanAt(text, path);
    const restored = running === undefined ? undefined : ownName(running);
    if (running === undefined || span === undefined || restored === undefined) return;
    running.reply.message(edited(text, [{ ...span, text: restored }]));
  }

  #toOnly(text: string): boolean {
    const participant = this.#only();
    if (participant === undefined) return false;
    const running = [...this.#running.values()].findLast((each) => each.participant === participant);
    if (running !== undefined) running.reply.message(text);
    else participant.stream?.(text);
    return running !== undefined || participant.stream !== undefined;
  }

  /** The only client that a message can be meant for. */
  #only(): Participant | undefined {
    const calling = new Set([...this.#running.values()].map((running) => running.participant));
    const candidates = calling.size > 0 ? calling : this.#participants;
    return candidates.size === 1 ? [...candidates][0] : undefined;
  }

  #question(method: string, message: JsonObject, text: string): void {
    const id = JSON.stringify(own(message, 'id'));
    if (method === 'ping') {
      this.#link.send(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
      return;
    }
    const participant = this.#only();
    const capability = CAPABILITIES.get(method);
    const able = capability === undefined || (participant !== undefined && own(participant.capabilities, capability) !== undefined);
    if (participant !== undefined && able) {
      this.#asked.set(id, participant);
      if (this.#toOnly(text)) return;
      this.#asked.delete(id);
    }
    const cause = able ? 'it cannot be known which client this is meant for' : `the client does not support ${method}`;
    this.#link.send(`{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":${JSON.stringify(cause)}}}`);
  }

  #closed(reason: string, refusal: LinkRefusal | undefined): void {
    this.#alive = false;
    this.#refusal = refusal;
    for (const { id, reply } of this.#running.values()) reply.fail(reason, failure(id, reason));
    this.#running.clear();
    for (const resolve of this.#own.values()) resolve(undefined);
    this.#own.clear();
    this.#options.closed();
  }
}

const ENDED = 'the process of the server ended';

function failure(id: string, cause: string): string {
  return `{"jsonrpc":"2.0","id":${id},"error":{"code":502,"message":${JSON.stringify(`Upstream: ${cause}`)}}}`;
}
