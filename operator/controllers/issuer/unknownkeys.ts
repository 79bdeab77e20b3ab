import { isObject, type JsonObject } from '../../../mcp/jsonrpc.ts';
import type { GuardPod, GuardReader } from '../mcpserver/guardreports.ts';

export interface UnknownKeysOptions {
  /** The guards of all servers that take tokens, now. */
  readonly pods: () => readonly GuardPod[];
  readonly read: GuardReader;
  readonly clock: {
    after(milliseconds: number, callback: () => void): () => void;
  };
  /** A guard has met tokens of this issuer with a key that it does not know. */
  readonly onUnknown: (issuer: string) => void;
}

/** Between two rounds, milliseconds; longer where there are many guards: asking one takes about a millisecond, and all of it at most a twentieth. */
const PAUSE = 5_000;
const PAUSE_PER_GUARD = 20;
/** Guards that are asked at a time. One that does not answer holds its place for 5 s. */
const CONCURRENCY = 32;

/**
 * Asks guards whether they met tokens signed with keys that they do not know: an issuer has begun to use a new one, or somebody makes them up. Guards open
 * no connection of their own, so they are asked.
 */
export class UnknownKeys {
  readonly #options: UnknownKeysOptions;
  /** By uid of the pod: how many a guard had met per issuer. */
  #met = new Map<string, JsonObject>();
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
    const waiting = [...this.#options.pods()];
    const pause = Math.max(PAUSE, PAUSE_PER_GUARD * waiting.length);
    const before = this.#met;
    this.#met = new Map();
    const ask = async (): Promise<void> => {
      for (let pod = waiting.pop(); pod !== undefined; pod = waiting.pop()) await this.#ask(pod, before.get(pod.uid), controller.signal);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
    if (!controller.signal.aborted) this.#wait(pause);
  }

  async #ask(pod: GuardPod, before: JsonObject | undefined, signal: AbortSignal): Promise<void> {
    try {
      const { unknownKeys } = await this.#options.read(pod, '/status', signal);
      if (unknownKeys === undefined || unknownKeys === null || !isObject(unknownKeys)) return;
      this.#met.set(pod.uid, unknownKeys);
      for (const [issuer, count] of Object.entries(unknownKeys)) {
        // Fewer: another process, which has met some of its own.
        if (count !== 0 && count !== before?.[issuer]) this.#options.onUnknown(issuer);
      }
    } catch {
      // It starts, ends, or cannot be reached: the next round asks again, and what it had met counts as it did.
      if (before !== undefined) this.#met.set(pod.uid, before);
    }
  }
}
