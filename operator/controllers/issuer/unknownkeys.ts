import { isObject, type JsonObject } from '../../../mcp/jsonrpc.ts';
import type { GuardPod, GuardReader } from '../mcpserver/guardreports.ts';

export interface UnknownKeysOptions {
  /** The guards of all servers that take tokens, now. */
  readonly pods: () => readonly GuardPod[];
  readonly read: GuardReader;
  readonly clock: {
    now(): Date;
    after(milliseconds: number, callback: () => void): () => void;
  };
  /** A guard has met tokens of this issuer with a key that it does not know. */
  readonly onUnknown: (issuer: string) => void;
}

/** Between two rounds, milliseconds; longer where a round takes its time, so that asking never is a twentieth of what the operator does. */
const PAUSE = 5_000;
const SHARE = 20;
/** Guards that are asked at a time. */
const CONCURRENCY = 8;

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
    const { clock, pods } = this.#options;
    const began = clock.now().getTime();
    const waiting = [...pods()];
    const before = this.#met;
    this.#met = new Map();
    const ask = async (): Promise<void> => {
      for (let pod = waiting.pop(); pod !== undefined; pod = waiting.pop()) await this.#ask(pod, before.get(pod.uid), controller.signal);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
    if (!controller.signal.aborted) this.#wait(Math.max(PAUSE, SHARE * (clock.now().getTime() - began)));
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
