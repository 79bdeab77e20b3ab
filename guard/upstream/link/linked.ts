import { randomUUID } from 'node:crypto';
import { field } from '../../headers.ts';
import type { JsonObject } from '../../message/message.ts';
import { isObject, own } from '../../message/message.ts';
import { spanAt } from '../../message/spans.ts';
import { event } from '../../relay/events.ts';
import type { OpenLink } from './link.ts';
import type { Exchange, ResponseSink, Upstream, UpstreamRequest } from '../upstream.ts';
import { INTRODUCTION, introductionFor } from './introduction.ts';
import { isModernMessage, MODERN_META, modernStatus, unsupportedVersion } from './modern.ts';
import type { Participant } from './process.ts';
import { ServerProcess } from './process.ts';
import { Reply } from './reply.ts';

export interface LinkedOptions {
  /** Opens a way to a new process, or to a new session of a server that has but one process. */
  readonly open: OpenLink;
  /** Whether the server may speak the modern era. */
  readonly modern: boolean;
  readonly processes: 'Shared' | 'PerSession';
  readonly maxProcesses: number;
  /** Whether a process is kept ready for the next session. */
  readonly spare: boolean;
  /** Milliseconds without use after which a session ends. Default: an hour where sessions share a child, else ten minutes. */
  readonly idle?: number;
  /** Whether the server accepts connections, where that can be seen without starting a process. */
  readonly reachable: () => Promise<boolean>;
  readonly now: () => number;
  readonly stray: (line: string) => void;
  readonly listChanged: () => void;
}

interface Session extends Participant {
  readonly id: string;
  process: ServerProcess;
  used: number;
  streaming: ResponseSink | undefined;
  /** Calls in flight. */
  busy: number;
}

const MAXIMUM_SESSIONS = 10_000;
const SWEEP = 30_000;

/**
 * A server that is reached by links (a stdio child behind the shim, an HTTP+SSE server of 2024-11-05), served as streamable HTTP. Such a
 * server speaks one era per link, so each era has links of its own: legacy ones by session (`PerSession`) or one for all (`Shared`,
 * introduced by the guard), modern ones by caller or one for all.
 *
 * Guarantees: a process that ended takes its calls with it, and the next call has another; a server that does not know the modern era is
 * asked once.
 */
export class LinkedUpstream implements Upstream {
  readonly #options: LinkedOptions;
  readonly #sessions = new Map<string, Session>();
  /** Processes that outlive sessions: `legacy` when shared, and modern ones by caller. */
  readonly #processes = new Map<string, { readonly process: ServerProcess; readonly ready: Promise<string | undefined>; used: number }>();
  readonly #sweeper: NodeJS.Timeout;
  #spare: ServerProcess | undefined;
  #modern: boolean;
  #alive = 0;

  constructor(options: LinkedOptions) {
    this.#options = options;
    this.#modern = options.modern;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP);
    this.#sweeper.unref();
  }

  send(request: UpstreamRequest, sink: ResponseSink): Exchange {
    let cancel: (() => void) | undefined;
    let aborted = false;
    // From a later tick on: whoever sends has the exchange in its hands before the first answer.
    Promise.resolve()
      .then(() => this.#serve(request, sink))
      .then((stop) => {
        cancel = stop;
        if (aborted) stop?.();
      })
      .catch((error: unknown) => sink.fail({ status: 502, cause: `the request could not be handed over (${String(error)})` }));
    return {
      abort: () => {
        aborted = true;
        cancel?.();
      },
      pause: () => undefined,
      resume: () => undefined,
    };
  }

  /** A connection is a process: none is started only to see whether it can be. */
  async reachable(): Promise<boolean> {
    if (this.#alive > 0) return true;
    if (this.#options.processes === 'Shared') return (await this.#introduced().ready) !== undefined;
    if (!this.#options.spare) return this.#options.reachable();
    this.#spare ??= this.#start([]);
    return this.#spare.opened();
  }

  close(): Promise<void> {
    clearInterval(this.#sweeper);
    for (const session of this.#sessions.values()) session.process.close();
    for (const { process } of this.#processes.values()) process.close();
    this.#spare?.close();
    return Promise.resolve();
  }

  async #serve(request: UpstreamRequest, sink: ResponseSink): Promise<(() => void) | undefined> {
    const id = field(request.headers, 'mcp-session-id');
    if (request.method !== 'POST') return this.#stream(request.method, id, sink);
    const text = request.body?.toString('utf8') ?? '';
    const message = JSON.parse(text) as JsonObject;
    if (isModernMessage(message, field(request.headers, 'mcp-protocol-version'))) return this.#serveModern(request, message, text, sink);
    const reply = new Reply(sink);
    const method = own(message, 'method');
    if (id === undefined && method === 'initialize') return this.#initialize(request, message, text, sink);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session === undefined || this.#lost(session)) {
      const [status, words] = id === undefined ? [400, 'Mcp-Session-Id is required'] : [404, 'Session not found'];
      reply.json(status, `{"jsonrpc":"2.0","error":{"code":${status === 404 ? -32001 : -32600},"message":"${words}"}}`);
      return undefined;
    }
    session.used = this.#options.now();
    if (method === undefined) {
      reply.empty(session.process.answer(session, text) ? 202 : 400);
    } else if (typeof method !== 'string' || own(message, 'id') === undefined) {
      this.#notified(session, method, text);
      reply.empty(202);
    } else {
      return this.#call(session, method, message, text, sink);
    }
    return undefined;
  }

  /** Whether the session went with its own child. */
  #lost(session: Session): boolean {
    if (this.#options.processes === 'Shared' || session.process.alive) return false;
    this.#end(session);
    return true;
  }

  /** Ends a session, or opens the stream for what the server says of its own accord. */
  #stream(method: string, id: string | undefined, sink: ResponseSink): (() => void) | undefined {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session === undefined) {
      new Reply(sink).empty(id === undefined ? 405 : 404, id === undefined ? ['allow', 'POST'] : []);
      return undefined;
    }
    if (method === 'DELETE') {
      this.#end(session);
      new Reply(sink).empty(200);
      return undefined;
    }
    session.streaming?.end();
    sink.head(200, ['content-type', 'text/event-stream', 'cache-control', 'no-store']);
    session.streaming = sink;
    session.stream = (text) => void sink.data(event(text));
    return () => {
      if (session.streaming !== sink) return;
      session.streaming = undefined;
      session.stream = undefined;
    };
  }

  async #call(session: Session, method: string, message: JsonObject, text: string, sink: ResponseSink): Promise<(() => void) | undefined> {
    const slot = busy(session, sink);
    const reply = new Reply(slot.sink);
    if (!session.process.alive && this.#options.processes === 'Shared') {
      const { process, ready } = this.#introduced();
      await ready;
      this.#move(session, process);
    }
    const params = own(message, 'params');
    const uri = isObject(params) ? own(params, 'uri') : undefined;
    if (method === 'resources/subscribe' && typeof uri === 'string') session.subscriptions.add(uri);
    if (method === 'resources/unsubscribe' && typeof uri === 'string') {
      session.subscriptions.delete(uri);
      // Somebody else still wants to hear of it: the server must not forget.
      if (this.#wanted(session.process, uri)) {
        const id = spanAt(text, ['id']);
        reply.json(200, `{"jsonrpc":"2.0","id":${id === undefined ? 'null' : text.slice(id.start, id.end)},"result":{}}`);
        return undefined;
      }
    }
    const cancel = session.process.call(session, text, reply);
    return () => {
      slot.release();
      cancel();
    };
  }

  #wanted(process: ServerProcess, uri: string): boolean {
    return [...this.#sessions.values()].some((session) => session.process === process && session.subscriptions.has(uri));
  }

  /** A shared child is introduced by us and hears of no client's coming; its own child hears everything. */
  #notified(session: Session, method: unknown, text: string): void {
    if (this.#options.processes === 'Shared' && method === 'notifications/initialized') return;
    session.process.notify(session, text);
  }

  async #initialize(request: UpstreamRequest, message: JsonObject, text: string, sink: ResponseSink): Promise<(() => void) | undefined> {
    const params = own(message, 'params');
    const capabilities = isObject(params) ? own(params, 'capabilities') : undefined;
    const id = randomUUID();
    const join = (process: ServerProcess): Session => {
      const session: Session = {
        id,
        process,
        capabilities: isObject(capabilities) ? capabilities : {},
        subscriptions: new Set(),
        stream: undefined,
        streaming: undefined,
        used: this.#options.now(),
        busy: 0,
      };
      process.join(session);
      this.#sessions.set(id, session);
      return session;
    };
    if (this.#options.processes === 'PerSession') {
      const process = this.#take(request.headers);
      if (process === undefined) {
        overloaded(sink, text);
        return undefined;
      }
      if (!(await process.opened()) && process.refusal !== undefined) {
        sink.head(process.refusal.status, process.refusal.headers);
        sink.end();
        return undefined;
      }
      const session = join(process);
      return process.call(session, text, new Reply(busy(session, sink).sink, ['mcp-session-id', id]));
    }
    const { process, ready } = this.#introduced();
    const introduction = await ready;
    const reply = new Reply(sink, ['mcp-session-id', id]);
    if (introduction === undefined) {
      reply.fail('the process of the server ended before it introduced itself', '');
      return undefined;
    }
    if (this.#sessions.size >= MAXIMUM_SESSIONS) {
      overloaded(sink, text);
      return undefined;
    }
    join(process);
    reply.json(200, introductionFor(introduction, text, isObject(params) ? own(params, 'protocolVersion') : undefined));
    return undefined;
  }

  /** The one legacy child that all share, with its answer to our introduction. */
  #introduced(): { readonly process: ServerProcess; readonly ready: Promise<string | undefined> } {
    return this.#kept('legacy', async (process) => {
      const answer = await process.ask('initialize', INTRODUCTION);
      if (answer === undefined || spanAt(answer, ['result']) === undefined) return undefined;
      process.notify(NOBODY, '{"jsonrpc":"2.0","method":"notifications/initialized"}');
      const wanted = new Set([...this.#sessions.values()].flatMap((session) => [...session.subscriptions]));
      for (const uri of wanted) void process.ask('resources/subscribe', { uri });
      return answer;
    });
  }

  async #serveModern(request: UpstreamRequest, message: JsonObject, text: string, sink: ResponseSink): Promise<(() => void) | undefined> {
    const key = this.#options.processes === 'Shared' ? 'modern' : `modern ${request.caller()}`;
    const kept = this.#modern
      ? this.#kept(key, async (process) => {
          const answer = await process.ask('server/discover', { _meta: MODERN_META });
          const modern = answer !== undefined && spanAt(answer, ['result']) !== undefined;
          if (answer !== undefined && !modern) this.#modern = false;
          return modern ? answer : undefined;
        })
      : undefined;
    const discovery = await kept?.ready;
    if (kept === undefined || discovery === undefined) {
      const id = spanAt(text, ['id']);
      const idText = id === undefined ? '' : `"id":${text.slice(id.start, id.end)},`;
      // Not one of the modern era's codes: a client that speaks both eras takes it as "legacy".
      new Reply(sink).json(400, `{"jsonrpc":"2.0",${idText}"error":{"code":-32600,"message":"This server needs initialize"}}`);
      kept?.process.close();
      return undefined;
    }
    const unsupported = unsupportedVersion(discovery, message, text);
    if (unsupported !== undefined) {
      new Reply(sink).json(400, unsupported);
      return undefined;
    }
    const participant: Participant = { capabilities: {}, subscriptions: new Set(), stream: undefined };
    if (own(message, 'id') === undefined) {
      kept.process.notify(participant, text);
      new Reply(sink).empty(202);
      return undefined;
    }
    return kept.process.call(participant, text, new Reply(sink, [], (answer) => modernStatus(message, answer)));
  }

  /** A process that is kept under a name, introduced once. */
  #kept(key: string, introduce: (process: ServerProcess) => Promise<string | undefined>) {
    let kept = this.#processes.get(key);
    if (kept === undefined || !kept.process.alive) {
      const process = this.#start([]);
      kept = { process, ready: introduce(process), used: 0 };
      this.#processes.set(key, kept);
    }
    kept.used = this.#options.now();
    return kept;
  }

  /** A child for a new session, and a spare one for the next. */
  #take(headers: readonly string[]): ServerProcess | undefined {
    // What a session's requests carry decides what the server lets it do: one that was opened for nobody is of no use.
    if (!this.#options.spare) return this.#alive < this.#options.maxProcesses ? this.#start(headers) : undefined;
    const spare = this.#spare?.alive === true ? this.#spare : undefined;
    if (spare === undefined && this.#alive >= this.#options.maxProcesses) return undefined;
    const process = spare ?? this.#start(headers);
    this.#spare = this.#alive < this.#options.maxProcesses ? this.#start([]) : undefined;
    return process;
  }

  #start(headers: readonly string[]): ServerProcess {
    this.#alive += 1;
    return new ServerProcess({
      open: this.#options.open,
      headers,
      stray: this.#options.stray,
      listChanged: this.#options.listChanged,
      closed: () => {
        this.#alive -= 1;
      },
    });
  }

  #move(session: Session, process: ServerProcess): void {
    session.process = process;
    process.join(session);
  }

  #end(session: Session): void {
    this.#sessions.delete(session.id);
    session.streaming?.end();
    session.process.leave(session);
    if (this.#options.processes === 'PerSession') session.process.close();
  }

  /** Ends what nobody has used for long. */
  #sweep(): void {
    const { idle, processes, now } = this.#options;
    const limit = now() - (idle ?? (processes === 'Shared' ? 3_600_000 : 600_000));
    for (const session of this.#sessions.values()) {
      const dead = processes === 'PerSession' && !session.process.alive;
      if (dead || (session.used < limit && session.busy === 0 && session.streaming === undefined)) this.#end(session);
    }
    for (const [key, { process, used }] of this.#processes) {
      if (key === 'legacy' || key === 'modern' || used >= limit || process.calls > 0) continue;
      this.#processes.delete(key);
      process.close();
    }
  }
}

const NOBODY: Participant = { capabilities: {}, subscriptions: new Set(), stream: undefined };

/** The sink of a call that counts as in flight until it ends or is released. */
function busy(session: Session, sink: ResponseSink): { readonly sink: ResponseSink; readonly release: () => void } {
  let held = 1;
  session.busy += 1;
  const release = (): void => {
    session.busy -= held;
    held = 0;
  };
  return {
    release,
    sink: {
      head: (status, headers) => sink.head(status, headers),
      data: (chunk) => sink.data(chunk),
      end: () => {
        release();
        sink.end();
      },
      fail: (failure) => {
        release();
        sink.fail(failure);
      },
    },
  };
}

function overloaded(sink: ResponseSink, text: string): void {
  const id = spanAt(text, ['id']);
  const idText = id === undefined ? '' : `"id":${text.slice(id.start, id.end)},`;
  const message = 'No process is free for another session';
  new Reply(sink, ['retry-after', '5']).json(503, `{"jsonrpc":"2.0",${idText}"error":{"code":503,"message":"${message}"}}`);
}
