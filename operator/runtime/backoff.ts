export interface BackoffOptions {
  /** Milliseconds. */
  readonly base: number;
  /** Milliseconds, before jitter. */
  readonly cap: number;
  /** Up to this fraction is added. client-go's reflectors: 1.0, so that a delay is 1–2 times its base. */
  readonly jitter: number;
  readonly random?: () => number;
}

/** Delays that double until they reach a cap. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** @param ceiling a lower cap, for this delay alone */
  next(ceiling = Number.POSITIVE_INFINITY): number {
    const { base, cap, jitter, random = Math.random } = this.#options;
    const delay = Math.min(base * 2 ** this.#failures, cap, ceiling);
    this.#failures += 1;
    return delay * (1 + jitter * random());
  }

  reset(): void {
    this.#failures = 0;
  }
}
