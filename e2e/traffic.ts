import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { call } from '../mcp/call.ts';
import { sendThrough } from '../mcp/http.ts';

/** `New`: each call connects anew. `Kept`: calls follow each other on connections that stay open. */
export type Connections = 'New' | 'Kept';

/** Callers at a time, of each kind of connections. */
const CALLERS = 2;

/** Callers who call a tool of a stateless server all the time, each call being a handshake and the call itself. */
export class Traffic implements AsyncDisposable {
  /** What did not get an answer, in words. */
  readonly lost: string[] = [];
  readonly #answered = new Map<Connections, number>();
  readonly #stopped = new AbortController();
  readonly #callers: Promise<void>[];

  /** @param pause milliseconds of each caller between two calls */
  constructor(url: URL, tool: string, pause = 0) {
    this.#callers = (['New', 'Kept'] as const).flatMap((connections) =>
      Array.from({ length: CALLERS }, () => this.#caller(url, tool, connections, pause)),
    );
  }

  /** Calls that were answered so far. */
  answered(connections: Connections): number {
    return this.#answered.get(connections) ?? 0;
  }

  async #caller(url: URL, tool: string, connections: Connections, pause: number): Promise<void> {
    const pool = connections === 'Kept' ? new Pool(url.origin, { connections: 1, pipelining: 1 }) : undefined;
    const target = pool === undefined ? { url } : { url, send: sendThrough(pool) };
    while (!this.#stopped.signal.aborted) {
      const result = await call(target, tool, {}, { era: 'Modern', limits: { timeoutMs: 20_000 } });
      if (result.outcome === 'Answered' && !result.isError) this.#answered.set(connections, this.answered(connections) + 1);
      else this.lost.push(`${new Date().toISOString()} ${connections}: ${result.outcome} ${'message' in result ? result.message : ''}`);
      if (pause > 0) await delay(pause);
    }
    await pool?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#callers);
  }
}
