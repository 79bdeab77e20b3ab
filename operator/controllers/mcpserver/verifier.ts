import type { Era } from '../../../mcp/eras.ts';
import type { ProbeResult } from '../../../mcp/probe.ts';
import { listedInventory } from '../../../mcp/tool-list.ts';
import type { Key } from '../../kube/object.ts';
import { boundedFacts, type VerificationResult } from './verification.ts';

/** What is verified, and when. */
export interface VerifierTarget {
  /** Changes with the spec and with the set of ready pods: another one is verified at once. */
  readonly fingerprint: string;
  /** Milliseconds between verifications that nothing else causes. */
  readonly interval: number;
  /** One verification. `era`: what worked last time. Rejects with the reason of `signal` alone. */
  readonly probe: (options: { readonly signal: AbortSignal; readonly era: Era | undefined }) => Promise<ProbeResult>;
  /** A success that this process has not seen, of the same spec and pods. The next verification is then due as if it had. */
  readonly verifiedAt: Date | undefined;
}

export interface VerifierClock {
  now(): Date;
  /** Calls back once after `milliseconds`. Returns what prevents it. */
  after(milliseconds: number, callback: () => void): () => void;
}

export interface VerifierOptions {
  readonly clock: VerifierClock;
  readonly random: () => number;
  /** Verifications at a time. Default 256: a dead server holds its place for the whole timeout, and 200 of them must not delay a healthy one. */
  readonly concurrency?: number;
  /** A result is there. */
  readonly onResult: (key: Key) => void;
  /** `verified` once per verification, with its seconds. For metrics. */
  readonly onVerified?: (outcome: ProbeResult['outcome'], seconds: number) => void;
  /** A bug of ours: `probe` rejected. It is retried like a failure. */
  readonly onError: (key: Key, error: unknown) => void;
}

/** After a failure the next try follows within 2 s, doubling to 5 min, or to a shorter interval: a broken server is asked no less than a healthy one. */
const FIRST_BACKOFF = 2_000;
const LONGEST_BACKOFF = 300_000;
/** How long after a change of the pods a refused connection means nothing: kube-proxy learns of a new endpoint a little later than we do. */
const ENDPOINT_GRACE = 5_000;
const ENDPOINT_RETRY = 300;
/** Overdue verifications of a process that has just started are spread over this time. */
const CATCH_UP = 60_000;

interface Entry {
  target: VerifierTarget;
  /** When the fingerprint last changed. */
  since: number;
  failures: number;
  result: VerificationResult | undefined;
  cancelTimer: (() => void) | undefined;
  running: AbortController | undefined;
  /** Nothing can answer at present. */
  paused: boolean;
  /** A failure that is not what is known, seen once. */
  doubt: ProbeResult['outcome'] | undefined;
}

/**
 * Verifies servers, outside of the reconcile workers.
 *
 * Guarantees:
 * - never more than `concurrency` at a time, never two of one server; a server that has not failed goes before those that have;
 * - a changed fingerprint is verified at once; a success again after `interval` ± 10 %; a failure after up to 2 s, doubling to 5 min or
 *   to the interval if that is shorter, with full jitter, for ever;
 * - a failure where nothing was known is a result at once, any other when it is confirmed;
 * - `onResult` follows each result; results live in memory alone, without the definitions of tools, which may be megabytes.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #concurrency: number;
  readonly #entries = new Map<Key, Entry>();
  readonly #fresh = new Set<Key>();
  readonly #failed = new Set<Key>();
  #running = 0;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#concurrency = options.concurrency ?? 256;
  }

  /** The last result, if this process has one. */
  result(key: Key): VerificationResult | undefined {
    return this.#entries.get(key)?.result;
  }

  /** Begins or goes on verifying. Cheap when nothing changed. */
  track(key: Key, target: VerifierTarget): void {
    const known = this.#entries.get(key);
    if (known?.paused === false && known.target.fingerprint === target.fingerprint) {
      known.target = target;
      return;
    }
    known?.cancelTimer?.();
    known?.running?.abort(new Error('the server changed'));
    const entry: Entry = {
      target,
      since: this.#now(),
      failures: 0,
      result: known?.result,
      cancelTimer: undefined,
      running: undefined,
      paused: false,
      doubt: undefined,
    };
    this.#entries.set(key, entry);
    this.#failed.delete(key);
    const delay = known === undefined ? this.#dueIn(target) : 0;
    if (delay <= 0) this.#queue(key, entry);
    else this.#schedule(key, entry, delay);
  }

  /** Stops verifying what cannot answer for now, but keeps what is known of it. */
  pause(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.paused) return;
    entry.paused = true;
    entry.cancelTimer?.();
    entry.running?.abort(new Error('nothing is ready'));
    this.#fresh.delete(key);
    this.#failed.delete(key);
  }

  /** Verifies as soon as possible, although nothing is known to have changed. */
  now(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.paused || entry.running !== undefined) return;
    entry.cancelTimer?.();
    this.#queue(key, entry);
  }

  /** Ends verifying and forgets the result. */
  forget(key: Key): void {
    const entry = this.#entries.get(key);
    entry?.cancelTimer?.();
    entry?.running?.abort(new Error('the server is gone'));
    this.#entries.delete(key);
    this.#fresh.delete(key);
    this.#failed.delete(key);
  }

  /** Ends everything. */
  stop(): void {
    for (const key of Array.from(this.#entries.keys())) this.forget(key);
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }

  #dueIn({ verifiedAt, interval }: VerifierTarget): number {
    if (verifiedAt === undefined) return 0;
    const due = verifiedAt.getTime() + this.#jittered(interval) - this.#now();
    return due > 0 ? Math.min(due, interval * 1.1) : 1 + this.#options.random() * Math.min(interval, CATCH_UP);
  }

  #jittered(interval: number): number {
    return interval * (0.9 + 0.2 * this.#options.random());
  }

  #schedule(key: Key, entry: Entry, delay: number): void {
    entry.cancelTimer = this.#options.clock.after(delay, () => this.#queue(key, entry));
  }

  #queue(key: Key, entry: Entry): void {
    entry.cancelTimer = undefined;
    (entry.failures === 0 ? this.#fresh : this.#failed).add(key);
    this.#dispatch();
  }

  #dispatch(): void {
    while (this.#running < this.#concurrency) {
      const waiting = this.#fresh.size > 0 ? this.#fresh : this.#failed;
      const [key] = waiting;
      if (key === undefined) return;
      waiting.delete(key);
      const entry = this.#entries.get(key);
      if (entry !== undefined && entry.running === undefined) void this.#verify(key, entry);
    }
  }

  async #verify(key: Key, entry: Entry): Promise<void> {
    const controller = new AbortController();
    entry.running = controller;
    this.#running += 1;
    const started = this.#now();
    try {
      const found = await entry.target.probe({ signal: controller.signal, era: entry.result?.server?.era });
      this.#options.onVerified?.(found.outcome, (this.#now() - started) / 1000);
      if (!controller.signal.aborted) this.#settle(key, entry, found);
    } catch (error) {
      if (!controller.signal.aborted) {
        this.#options.onError(key, error);
        this.#retry(key, entry);
      }
    } finally {
      if (entry.running === controller) entry.running = undefined;
      this.#running -= 1;
      this.#dispatch();
    }
  }

  #settle(key: Key, entry: Entry, found: ProbeResult): void {
    const now = this.#now();
    if (found.outcome === 'ConnectionRefused' && now - entry.since < ENDPOINT_GRACE) {
      entry.running = undefined;
      this.#schedule(key, entry, ENDPOINT_RETRY);
      return;
    }
    if (this.#isDoubtful(entry, found.outcome)) {
      entry.doubt = found.outcome;
      this.#retry(key, entry);
      return;
    }
    entry.doubt = undefined;
    entry.result = {
      outcome: found.outcome,
      message: found.message,
      server: found.server === undefined ? undefined : boundedFacts(found.server),
      inventory: found.outcome === 'Verified' ? listedInventory(found.inventory) : undefined,
      at: new Date(now),
    };
    entry.running = undefined;
    if (works(found.outcome)) {
      entry.failures = 0;
      this.#schedule(key, entry, this.#jittered(entry.target.interval));
    } else {
      this.#retry(key, entry);
    }
    this.#options.onResult(key);
  }

  /**
   * One slow answer of a busy machine says nothing: what worked is believed to fail when it fails twice in a row. And a server in trouble fails in several
   * ways by turns: only one that is seen twice in a row is news.
   */
  #isDoubtful({ result, target, doubt }: Entry, outcome: ProbeResult['outcome']): boolean {
    const known = result?.outcome ?? (target.verifiedAt === undefined ? undefined : 'Verified');
    if (known === undefined || works(outcome)) return false;
    return works(known) ? doubt === undefined : outcome !== known && outcome !== doubt;
  }

  #retry(key: Key, entry: Entry): void {
    entry.running = undefined;
    entry.failures += 1;
    const longest = Math.min(LONGEST_BACKOFF, entry.target.interval, FIRST_BACKOFF * 2 ** (entry.failures - 1));
    this.#schedule(key, entry, this.#options.random() * longest);
  }
}

const works = (outcome: ProbeResult['outcome']): boolean => outcome === 'Verified' || outcome === 'AuthenticationRequired';

export const systemClock: VerifierClock = {
  now: () => new Date(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};
