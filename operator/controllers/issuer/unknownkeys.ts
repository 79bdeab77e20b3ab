import { isObject } from '../../../mcp/jsonrpc.ts';
import type { Key } from '../../kube/object.ts';
import type { GuardPod, GuardReader } from '../mcpserver/guardreports.ts';

/** A guard, and the issuers that its server takes tokens of. */
export interface AskedGuard {
  readonly pod: GuardPod;
  readonly server: Key;
  readonly issuers: readonly string[];
}

export interface UnknownKeysOptions {
  /** The guards of all servers that take tokens, now. */
  readonly guards: () => readonly AskedGuard[];
  readonly read: GuardReader;
  readonly clock: {
    after(milliseconds: number, callback: () => void): () => void;
  };
  /** A guard of the server has met tokens of this issuer with a key that it does not know. */
  readonly onUnknown: (server: Key, issuer: string) => void;
}

/** Between two rounds, milliseconds; longer where there are many guards: asking one takes about a millisecond, and all of it at most a twentieth. */
const PAUSE = 5_000;
const PAUSE_PER_GUARD = 20;
/** Guards that are asked at a time. One that does not answer holds its place for 5 s. */
const CONCURRENCY = 32;

/**
 * Asks guards whether they met tokens signed with keys that they do not know: an issuer has begun to use a new one, or somebody makes them up. Guards open
 * no connection of their own, so they are asked.
 *
 * Guarantees: of an answer, nothing is looked at and nothing is kept but one number for each issuer of the pod's own server.
 */
export class UnknownKeys {
  readonly #options: UnknownKeysOptions;
  /** By uid of the pod: how many a guard had met per issuer. */
  #met = new Map<string, ReadonlyMap<string, number>>();
  #cancelTimer: (() => void) | undefined;
  #running: AbortController | undefined;

  constructor(options: UnknownKeysOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#wait(PAUSE);
    return Promise.resolve();
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#running?.abort(new Error('the operator stops'));
  }

  #wait(delay: number): void {
    this.#cancelTimer = this.#options.clock.after(delay, () => void this.#round());
  }

  async #round(): Promise<void> {
    const controller = new AbortController();
    this.#running = controller;
    const waiting = [...this.#options.guards()];
    const pause = Math.max(PAUSE, PAUSE_PER_GUARD * waiting.length);
    const before = this.#met;
    this.#met = new Map();
    const ask = async (): Promise<void> => {
      for (let guard = waiting.pop(); guard !== undefined; guard = waiting.pop())
        await this.#ask(guard, before.get(guard.pod.uid), controller.signal);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
    if (!controller.signal.aborted) this.#wait(pause);
  }

  async #ask({ pod, server, issuers }: AskedGuard, before: ReadonlyMap<string, number> | undefined, signal: AbortSignal): Promise<void> {
    try {
      const { unknownKeys } = await this.#options.read(pod, '/status', signal);
      if (!isObject(unknownKeys)) return;
      const met = new Map(
        issuers.flatMap((issuer) => {
          const count = Object.hasOwn(unknownKeys, issuer) ? unknownKeys[issuer] : undefined;
          return typeof count === 'number' && Number.isFinite(count) ? [[issuer, count]] : [];
        }),
      );
      this.#met.set(pod.uid, met);
      for (const [issuer, count] of met) {
        // Fewer: another process, which has met some of its own.
        if (count !== 0 && count !== before?.get(issuer)) this.#options.onUnknown(server, issuer);
      }
    } catch {
      // It starts, ends, or cannot be reached: the next round asks again, and what it had met counts as it did.
      if (before !== undefined) this.#met.set(pod.uid, before);
    }
  }
}
