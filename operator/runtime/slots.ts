/**
 * Lets no more than `size` pieces of work have something at a time; the others wait in the order in which they asked.
 *
 * Assumption: whoever was given a slot releases it, once.
 */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(size: number) {
    this.#free = size;
  }

  /** Waits for a slot and resolves with what releases it. Rejects with the reason of `signal` when that is aborted before. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free === 0) await this.#turn(signal);
    else this.#free -= 1;
    return () => {
      const [next] = this.#waiting;
      if (next === undefined) this.#free += 1;
      else next();
    };
  }

  /** Resolves when a slot is handed over. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(take);
        signal.removeEventListener('abort', giveUp);
      };
      const take = (): void => {
        leave();
        resolve();
      };
      const giveUp = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      this.#waiting.add(take);
      signal.addEventListener('abort', giveUp);
    });
  }
}

/** Like `Slots`, and groups take turns: of each, no more than one has a slot or waits for it; its others wait behind that one. */
export class SharedSlots {
  readonly #slots: Slots;
  readonly #groups = new Map<string, { readonly turn: Slots; users: number }>();

  constructor(size: number) {
    this.#slots = new Slots(size);
  }

  async take(group: string, signal: AbortSignal): Promise<() => void> {
    using taken = new DisposableStack();
    taken.defer(await this.#join(group, signal));
    taken.defer(await this.#slots.take(signal));
    const kept = taken.move();
    return () => kept.dispose();
  }

  /** Waits for the turn of a group. A group that nobody uses is forgotten. */
  async #join(name: string, signal: AbortSignal): Promise<() => void> {
    const group = this.#groups.get(name) ?? { turn: new Slots(1), users: 0 };
    this.#groups.set(name, group);
    group.users += 1;
    using joined = new DisposableStack();
    joined.defer(() => {
      group.users -= 1;
      if (group.users === 0) this.#groups.delete(name);
    });
    joined.defer(await group.turn.take(signal));
    const kept = joined.move();
    return () => kept.dispose();
  }
}
