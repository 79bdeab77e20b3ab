import type { Key } from '../../kube/object.ts';

/** Servers whose changes are worth a status each. */
const FEW = 50;
/** Milliseconds between two statuses of a policy that selects more. */
const PERIOD = 1_000;

/**
 * How often the status of a policy is worked out. Every change of a server that it selects changes it, and looking at all of them for each would be
 * quadratic: a policy for 5,000 servers that converge would be written 5,000 times.
 */
export class Pace {
  readonly #now: () => number;
  readonly #last = new Map<Key, { readonly at: number; readonly generation: number; readonly servers: number }>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds until it is this policy's turn; 0: now. A change of the policy itself is never put off. */
  wait(key: Key, generation: number): number {
    const last = this.#last.get(key);
    if (last === undefined || last.generation !== generation || last.servers <= FEW) return 0;
    return Math.max(0, last.at + PERIOD - this.#now());
  }

  took(key: Key, generation: number, servers: number): void {
    this.#last.set(key, { at: this.#now(), generation, servers });
  }

  forget(key: Key): void {
    this.#last.delete(key);
  }
}
