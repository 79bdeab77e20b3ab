/** A request that a seal of ours shows to be a later round of a call (multi-round-trip requests, SEP-2322). */
export interface Round {
  /** Request id of the call that paid. */
  readonly call: string;
  /** 1 is the first round after it. */
  readonly number: number;
  /** When that call was first answered, milliseconds since 1970. */
  readonly began: number;
}

/** Rounds of one call beyond which each counts as a new call. */
const MAXIMUM_ROUNDS = 10;
/** How long a call's rounds belong to it, milliseconds: time for a person to answer, short enough to remember who has used what. */
const LIFETIME = 10 * 60_000;
/** Calls whose rounds are remembered, about 2 MiB. */
const MAXIMUM_CALLS = 10_000;

/**
 * Which rounds go on with a call that has paid for its rates.
 *
 * Guarantees: each round of a call passes once, up to ten, within ten minutes, at this guard; memory is bounded; what cannot be remembered pays.
 */
export class Rounds {
  readonly #now: () => number;
  /** By call: the last round that passed. Oldest first, nearly. */
  readonly #passed = new Map<string, Round>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether this round belongs to a call that has paid. Uses it up: who sends it again pays. */
  pass(round: Round): boolean {
    this.#forget();
    const before = this.#passed.get(round.call);
    const fresh = round.number > (before?.number ?? 0) && round.number <= MAXIMUM_ROUNDS && !this.#over(round);
    const room = before !== undefined || this.#passed.size < MAXIMUM_CALLS;
    if (fresh && room) this.#passed.set(round.call, round);
    return fresh && room;
  }

  /** The round that follows the answer to this request. `free`: the round that the request was, if it did not pay. */
  next(requestId: string, free: Round | undefined): Round {
    return free === undefined ? { call: requestId, number: 1, began: this.#now() } : { ...free, number: free.number + 1 };
  }

  #over({ began }: Round): boolean {
    return this.#now() - began > LIFETIME;
  }

  #forget(): void {
    for (const [call, round] of this.#passed) {
      if (!this.#over(round)) return;
      this.#passed.delete(call);
    }
  }
}
