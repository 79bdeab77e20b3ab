import type { Key } from '../kube/object.ts';

/** Why a key waits: `low` is the initial list and the periodic resync, `normal` is everything that changed. */
export type Priority = 'normal' | 'low';

export interface AddOptions {
  /** Milliseconds before the key becomes ready. The earliest of several additions wins. */
  readonly after?: number;
  readonly priority?: Priority;
}

export interface WorkQueueOptions {
  /** Milliseconds before the first retry of a key; doubles with each. client-go: 5. */
  readonly baseDelay?: number;
  /** Milliseconds. 5 min rather than client-go's 1,000 s: what talks to nothing but the API server recovers when it does. */
  readonly maxDelay?: number;
  /** One low-priority key is served after this many normal ones, so that a busy cluster cannot starve the initial sync. */
  readonly normalPerLow?: number;
  readonly observer?: QueueObserver;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export interface QueueObserver {
  added?(): void;
  retried?(): void;
  /** `seconds` is how long the key was ready before a worker took it. */
  taken?(seconds: number): void;
  /** `seconds` is how long a worker held the key. */
  done?(seconds: number): void;
}

interface Entry {
  readonly key: Key;
  readonly priority: Priority;
  /** `undefined` once ready. */
  readyAt: number | undefined;
  /** When it became ready. */
  since: number;
}

/**
 * The keys still to be reconciled.
 *
 * Guarantees:
 * - a key is queued at most once, however often it is added;
 * - a key is never held by two workers: one added while it is held is served again after `done`;
 * - keys of one priority are served in the order in which they became ready.
 */
export class WorkQueue {
  readonly #entries = new Map<Key, Entry>();
  readonly #ready: Record<Priority, Fifo<Entry>> = { normal: new Fifo(), low: new Fifo() };
  readonly #delayed = new Heap<Entry & { readyAt: number }>((a, b) => a.readyAt < b.readyAt);
  readonly #held = new Map<Key, number>();
  readonly #failures = new Map<Key, number>();
  readonly #takers = new Fifo<(key: Key | undefined) => void>();
  readonly #waitingOf: Record<Priority, number> = { normal: 0, low: 0 };
  readonly #options: Required<Omit<WorkQueueOptions, 'observer'>>;
  readonly #observer: QueueObserver;
  #timer: { at: number; handle: NodeJS.Timeout } | undefined;
  #normalServed = 0;
  #closed = false;

  constructor({ observer = {}, ...options }: WorkQueueOptions = {}) {
    this.#options = { baseDelay: 5, maxDelay: 300_000, normalPerLow: 8, now: () => performance.now(), ...options };
    this.#observer = observer;
  }

  /** Keys known to the queue and not held by a worker, delayed ones included. */
  get depth(): number {
    return this.#entries.size;
  }

  /** Keys that are ready, by priority. */
  ready(priority: Priority): number {
    return this.#waitingOf[priority];
  }

  /** When each held key was taken, in the clock's milliseconds. */
  heldSince(): Iterable<number> {
    return this.#held.values();
  }

  add(key: Key, { after = 0, priority = 'normal' }: AddOptions = {}): void {
    if (this.#closed) return;
    const now = this.#options.now();
    const readyAt = after > 0 ? now + after : undefined;
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#observer.added?.();
      this.#enter({ key, priority, readyAt, since: now });
      return;
    }
    const sooner = known.readyAt !== undefined && (readyAt === undefined || readyAt < known.readyAt);
    const raised = known.priority === 'low' && priority === 'normal';
    if (!sooner && !raised) return;
    // The old entry may sit in a FIFO or the heap: it is replaced, not moved, and skipped when it surfaces.
    if (known.readyAt === undefined) this.#waitingOf[known.priority] -= 1;
    const next = sooner ? readyAt : known.readyAt;
    this.#enter({
      key,
      priority: raised ? 'normal' : known.priority,
      readyAt: next,
      since: known.readyAt === undefined ? known.since : now,
    });
  }

  /** Adds the key again after its own exponential delay, which `forget` resets. */
  retry(key: Key, priority: Priority = 'normal'): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#observer.retried?.();
    this.add(key, { after: Math.min(this.#options.baseDelay * 2 ** failures, this.#options.maxDelay), priority });
  }

  forget(key: Key): void {
    this.#failures.delete(key);
  }

  failures(key: Key): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, or `undefined` once the queue is closed. Every key taken must be given back with `done`. */
  take(): Promise<Key | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const entry = this.#next();
    if (entry !== undefined) return Promise.resolve(this.#hold(entry));
    return new Promise((resolve) => {
      this.#takers.push(resolve);
    });
  }

  done(key: Key): void {
    const since = this.#held.get(key);
    this.#held.delete(key);
    if (since !== undefined) this.#observer.done?.((this.#options.now() - since) / 1000);
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.readyAt === undefined) {
      this.#ready[entry.priority].push(entry);
      this.#serve();
    }
  }

  /** Releases waiting workers; nothing is served any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer?.handle);
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) taker(undefined);
  }

  #enter(entry: Entry): void {
    this.#entries.set(entry.key, entry);
    if (isDelayed(entry)) {
      this.#delayed.push(entry);
      this.#wakeAt(entry.readyAt);
    } else {
      this.#settle(entry);
    }
  }

  #settle(entry: Entry): void {
    this.#waitingOf[entry.priority] += 1;
    if (this.#held.has(entry.key)) return; // `done` serves it
    this.#ready[entry.priority].push(entry);
    this.#serve();
  }

  #serve(): void {
    while (this.#takers.length > 0) {
      const entry = this.#next();
      if (entry === undefined) return;
      this.#takers.shift()?.(this.#hold(entry));
    }
  }

  #hold(entry: Entry): Key {
    const now = this.#options.now();
    this.#entries.delete(entry.key);
    this.#waitingOf[entry.priority] -= 1;
    this.#held.set(entry.key, now);
    this.#observer.taken?.((now - entry.since) / 1000);
    return entry.key;
  }

  #next(): Entry | undefined {
    const lowDue = this.#normalServed >= this.#options.normalPerLow;
    for (const priority of lowDue ? (['low', 'normal'] as const) : (['normal', 'low'] as const)) {
      const fifo = this.#ready[priority];
      for (let entry = fifo.shift(); entry !== undefined; entry = fifo.shift()) {
        if (this.#entries.get(entry.key) !== entry) continue; // replaced or already served
        this.#normalServed = priority === 'low' ? 0 : this.#normalServed + 1;
        return entry;
      }
    }
    return undefined;
  }

  #wakeAt(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    clearTimeout(this.#timer?.handle);
    // A timer holds at most 2^31 ms and fires at once beyond; it is set again when it fires early.
    const delay = Math.min(Math.max(0, at - this.#options.now()), 2 ** 31 - 1);
    this.#timer = { at, handle: setTimeout(() => this.#wake(), delay) };
  }

  #wake(): void {
    this.#timer = undefined;
    const now = this.#options.now();
    for (let first = this.#delayed.peek(); first !== undefined; first = this.#delayed.peek()) {
      if (this.#entries.get(first.key) !== first) {
        this.#delayed.pop(); // replaced by a sooner one
        continue;
      }
      if (first.readyAt > now) {
        this.#wakeAt(first.readyAt);
        return;
      }
      this.#delayed.pop();
      const entry: Entry = first;
      entry.readyAt = undefined;
      entry.since = now;
      this.#settle(entry);
    }
  }
}

const isDelayed = (entry: Entry): entry is Entry & { readyAt: number } => entry.readyAt !== undefined;

/** An array read from a moving head: `shift` costs the same however long the queue is. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** A binary heap: the item that comes before all others is on top. */
class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const [top] = items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      const left = items[below];
      const right = items[below + 1];
      let child = left;
      if (left !== undefined && right !== undefined && this.#before(right, left)) {
        child = right;
        below += 1;
      }
      if (child === undefined || !this.#before(child, last)) break;
      items[at] = child;
      at = below;
    }
    items[at] = last;
    return top;
  }
}
