import type { Key } from '../../kube/object.ts';
import { KeySetError } from './keyset.ts';
import type { FetchKeys, FoundKeys, KeySource } from './source.ts';

/** What is known of one source of keys. */
export interface IssuerState {
  /** The last that was fetched; it stays when later attempts fail. */
  readonly found: FoundKeys | undefined;
  /** Why nothing new can be fetched; `undefined` when the last attempt worked, or while there is none to speak of. */
  readonly problem: string | undefined;
}

export interface IssuersOptions {
  readonly fetch: FetchKeys;
  readonly clock: {
    now(): Date;
    after(milliseconds: number, callback: () => void): () => void;
  };
  readonly random: () => number;
  /** The state of a source that this server uses has changed. */
  readonly onChange: (server: Key) => void;
  /** An attempt has ended. For metrics. */
  readonly onFetched?: (outcome: 'success' | 'failure') => void;
  /** A bug of ours. It is retried like a failure. */
  readonly onError: (error: unknown) => void;
  /** Sources that are fetched at a time. Default 32: one that does not answer holds its place for 5 s. */
  readonly concurrency?: number;
}

/** Keys that an issuer takes back hold no longer than this, milliseconds, ± 20 %. New keys are asked for as soon as a guard meets one. */
const REFRESH = 10 * 60_000;
/** Whoever sends tokens with made-up key ids causes no more than this. */
const MINIMUM = 15_000;
const FIRST_BACKOFF = 2_000;
const LONGEST_BACKOFF = 5 * 60_000;
/** Failures in a row before anybody is told, where there are keys to go on with: one is a moment of the network. */
const DOUBT = 3;

interface Entry {
  readonly source: KeySource;
  readonly users: Set<Key>;
  state: IssuerState;
  failures: number;
  /** When the last attempt began, milliseconds; `undefined` before the first. */
  started: number | undefined;
  cancelTimer: (() => void) | undefined;
  running: AbortController | undefined;
}

/**
 * Fetches the keys of issuers for all servers that use them, outside of the reconcile workers.
 *
 * Guarantees: one fetch per source however many servers use it, never two of one source, never more than `concurrency` at a time, and what has not failed goes first; after a success the next
 * in 10 min ± 20 %, or when `refresh` asks, but not within 15 s; after a failure within 2 s, doubling to 5 min, with full jitter, for ever; what was fetched
 * stays until something newer is. A source that nobody uses any more is forgotten.
 */
export class Issuers {
  readonly #options: IssuersOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #byServer = new Map<Key, readonly string[]>();
  readonly #queue = new Set<string>();
  #running = 0;

  constructor(options: IssuersOptions) {
    this.#options = options;
  }

  /** The servers that use any source. */
  get servers(): Iterable<Key> {
    return this.#byServer.keys();
  }

  /** Sources by how they fare. For metrics. */
  counts(): Readonly<Record<'current' | 'stale' | 'missing', number>> {
    const counts = { current: 0, stale: 0, missing: 0 };
    for (const { state } of this.#entries.values()) counts[standing(state)] += 1;
    return counts;
  }

  /** What is known of these sources, in their order. A server uses what it named last. Cheap when nothing changed. */
  use(server: Key, sources: readonly KeySource[]): readonly IssuerState[] {
    const before = this.#byServer.get(server) ?? [];
    const names = sources.map((source) => JSON.stringify(source));
    if (names.length === 0) this.#byServer.delete(server);
    else this.#byServer.set(server, names);
    const states = sources.map((source, at) => {
      const name = names[at] ?? '';
      const entry = this.#entries.get(name) ?? this.#begin(name, source);
      entry.users.add(server);
      return entry.state;
    });
    for (const name of before) if (!names.includes(name)) this.#leave(name, server);
    return states;
  }

  forget(server: Key): void {
    this.use(server, []);
  }

  /** The issuers of a server's sources, as far as they are known. */
  of(server: Key): readonly string[] {
    return this.#entriesOf(server).flatMap(([, entry]) => issuerOf(entry) ?? []);
  }

  /** Fetches the keys of an issuer of a server again: a guard of that server has met a key that is not among those that are known. */
  refresh(server: Key, issuer: string): void {
    for (const [name, entry] of this.#entriesOf(server)) {
      // After a failure the next attempt is under way, at its own pace.
      if (issuerOf(entry) !== issuer || entry.failures > 0 || entry.running !== undefined) continue;
      const wait = (entry.started ?? 0) + MINIMUM - this.#now();
      entry.cancelTimer?.();
      this.#schedule(name, entry, Math.max(0, wait));
    }
  }

  stop(): void {
    for (const server of Array.from(this.#byServer.keys())) this.forget(server);
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }

  #entriesOf(server: Key): (readonly [string, Entry])[] {
    return (this.#byServer.get(server) ?? []).flatMap((name) => {
      const entry = this.#entries.get(name);
      return entry === undefined ? [] : [[name, entry] as const];
    });
  }

  #begin(name: string, source: KeySource): Entry {
    const entry: Entry = {
      source,
      users: new Set(),
      state: { found: undefined, problem: undefined },
      failures: 0,
      started: undefined,
      cancelTimer: undefined,
      running: undefined,
    };
    this.#entries.set(name, entry);
    this.#schedule(name, entry, 0);
    return entry;
  }

  #leave(name: string, server: Key): void {
    const entry = this.#entries.get(name);
    entry?.users.delete(server);
    if (entry === undefined || entry.users.size > 0) return;
    entry.cancelTimer?.();
    entry.running?.abort(new Error('no server uses this issuer any more'));
    this.#entries.delete(name);
    this.#queue.delete(name);
  }

  #schedule(name: string, entry: Entry, delay: number): void {
    entry.cancelTimer = this.#options.clock.after(delay, () => {
      entry.cancelTimer = undefined;
      this.#queue.add(name);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#running < (this.#options.concurrency ?? 32)) {
      const name = this.#next();
      if (name === undefined) return;
      this.#queue.delete(name);
      const entry = this.#entries.get(name);
      if (entry !== undefined && entry.running === undefined) void this.#fetch(name, entry);
    }
  }

  /** Issuers that are down must not delay one that is not. */
  #next(): string | undefined {
    const [oldest] = this.#queue;
    for (const name of this.#queue) if (this.#entries.get(name)?.failures === 0) return name;
    return oldest;
  }

  async #fetch(name: string, entry: Entry): Promise<void> {
    const controller = new AbortController();
    entry.running = controller;
    entry.started = this.#now();
    this.#running += 1;
    const ended = await this.#attempt(entry.source, controller.signal);
    entry.running = undefined;
    this.#running -= 1;
    if (!controller.signal.aborted) this.#settle(name, entry, ended);
    this.#dispatch();
  }

  async #attempt(source: KeySource, signal: AbortSignal): Promise<FoundKeys | string> {
    try {
      return await this.#options.fetch(source, signal);
    } catch (error) {
      if (error instanceof KeySetError) return error.message;
      if (!signal.aborted) this.#options.onError(error);
      return 'the operator failed to fetch them; its log says how';
    }
  }

  #settle(name: string, entry: Entry, ended: FoundKeys | string): void {
    const { random, onFetched, onChange } = this.#options;
    const before = entry.state;
    if (typeof ended === 'string') {
      onFetched?.('failure');
      entry.failures += 1;
      const told = before.found === undefined || entry.failures >= DOUBT;
      entry.state = { found: before.found, problem: told ? ended : undefined };
      this.#schedule(name, entry, random() * Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (entry.failures - 1)));
    } else {
      onFetched?.('success');
      entry.failures = 0;
      entry.state = { found: ended, problem: undefined };
      this.#schedule(name, entry, REFRESH * (0.8 + 0.4 * random()));
    }
    if (JSON.stringify(entry.state) === JSON.stringify(before)) return;
    for (const server of entry.users) onChange(server);
  }
}

const issuerOf = ({ source, state }: Entry): string | undefined => (source.type === 'Cluster' ? state.found?.issuer : source.issuer);

const standing = ({ found, problem }: IssuerState): 'current' | 'stale' | 'missing' =>
  found === undefined ? 'missing' : problem === undefined ? 'current' : 'stale';
