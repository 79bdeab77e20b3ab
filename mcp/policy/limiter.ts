import { type Caller, callerKey } from './caller.ts';
import { denyMessage, DenyCode, type Denied, type Reason } from './decision.ts';
import type { EngineLimits } from './engine.ts';
import { GlobIndex } from './glob.ts';
import type { OwnedRate } from './merge.ts';
import type { Concurrency } from './bundle.ts';

export interface LimiterOptions {
  /** Milliseconds; monotonic is best. */
  readonly now: () => number;
  /** Guards that share the limits of one server; each enforces its part. */
  readonly replicas: number;
  /** Buckets kept at most, 100,000 by default (about 20 MiB). */
  readonly maxBuckets?: number;
}

/** What the limits say: nothing, a refusal, or what policies in `mode: Audit` would have refused. */
export interface Admission {
  readonly refusal?: Denied;
  readonly wouldDeny?: Reason;
}

export interface Slot {
  readonly refusal?: undefined;
  readonly wouldDeny?: Reason;
  /** Any number of times; only the first counts. */
  readonly release: () => void;
}

const PASSED: Admission = {};
const MAX_BUCKETS = 100_000;
/** How many of the oldest buckets one insertion looks at for a full one to drop. */
const SWEEP = 8;

/**
 * Rates and concurrency of one guard, in memory. Guarantees: over any time t a bucket lets at most `burst + rate × t` pass (its part of
 * them); memory is bounded; it cannot fail open: when all buckets are in use, callers that have none share one.
 * A change of limits keeps the buckets of limits that remain.
 */
export class Limiter {
  readonly #now: () => number;
  readonly #maxBuckets: number;
  /** GCRA: per bucket the theoretical arrival time of the next request, milliseconds. Insertion order is age. */
  readonly #arrivals = new Map<string, number>();
  readonly #calls = new Counter();
  readonly #streams = new Counter();
  #replicas: number;
  #rates: Rates;
  #shadowRates: Rates;
  #concurrency: Concurrency;
  #shadowConcurrency: Concurrency;

  constructor(limits: EngineLimits, { now, replicas, maxBuckets = MAX_BUCKETS }: LimiterOptions) {
    this.#now = now;
    this.#maxBuckets = maxBuckets;
    this.#replicas = Math.max(1, replicas);
    this.#rates = new Rates(limits.rates);
    this.#shadowRates = new Rates(limits.shadow.rates);
    this.#concurrency = limits.concurrency;
    this.#shadowConcurrency = limits.shadow.concurrency;
  }

  reconfigure(limits: EngineLimits, replicas: number): void {
    this.#replicas = Math.max(1, replicas);
    this.#rates = new Rates(limits.rates);
    this.#shadowRates = new Rates(limits.shadow.rates);
    this.#concurrency = limits.concurrency;
    this.#shadowConcurrency = limits.shadow.concurrency;
  }

  /** Rates over all requests. A round of a call that has paid is not a new request and does not come here. */
  admit(caller: Caller): Admission {
    return this.#check(this.#rates.ofRequests, this.#shadowRates.ofRequests, caller, '');
  }

  /** Rates over calls of certain tools. */
  admitTool(caller: Caller, tool: string): Admission {
    return this.#check(this.#rates.ofTool(tool), this.#shadowRates.ofTool(tool), caller, tool);
  }

  /** A place among the calls in flight. */
  acquire(caller: Caller): Slot | { readonly refusal: Denied } {
    const { perCaller, total } = this.#concurrency;
    return this.#acquire(this.#calls, caller, perCaller, total, this.#shadowConcurrency.perCaller, this.#shadowConcurrency.total);
  }

  /** A place among the streams that stay open. */
  acquireStream(caller: Caller): Slot | { readonly refusal: Denied } {
    const shadow = this.#shadowConcurrency.streamsPerCaller;
    return this.#acquire(this.#streams, caller, this.#concurrency.streamsPerCaller, undefined, shadow, undefined);
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#arrivals.size;
  }

  #check(rates: readonly OwnedRate[], shadow: readonly OwnedRate[], caller: Caller, tool: string): Admission {
    if (rates.length === 0 && shadow.length === 0) return PASSED;
    const now = this.#now();
    const refused = this.#take(rates, caller, tool, now);
    if (refused !== undefined) return { refusal: { effect: 'deny', answer: 'Refused', visible: true, ...refused } };
    const wouldDeny = this.#take(shadow, caller, tool, now);
    return wouldDeny === undefined ? PASSED : { wouldDeny };
  }

  /** All or nothing: a request that one limit refuses uses up none of the others. */
  #take(rates: readonly OwnedRate[], caller: Caller, tool: string, now: number): (Reason & { retryAfterMs: number }) | undefined {
    const taken: [string, number][] = [];
    for (const rate of rates) {
      const interval = (rate.windowMs / rate.requests) * this.#replicas;
      const burst = Math.max(1, Math.floor(rate.burst / this.#replicas));
      const key = this.#bucket(rate, caller, tool);
      const arrival = Math.max(this.#arrivals.get(key) ?? now, now);
      const wait = arrival - now - interval * (burst - 1);
      // Also true for a wait that is no number.
      if (!(wait <= 0)) return { ...refusalOf(rate), retryAfterMs: Math.ceil(wait) };
      taken.push([key, arrival + interval]);
    }
    for (const [key, arrival] of taken) this.#remember(key, arrival, now);
    return undefined;
  }

  #bucket(rate: OwnedRate, caller: Caller, tool: string): string {
    const owner = `${rate.policy} ${rate.name}`;
    if (rate.per === 'Server') return owner;
    const key = `${owner} ${callerKey(caller)}${rate.per === 'CallerAndTool' ? ` ${JSON.stringify(tool)}` : ''}`;
    return this.#arrivals.has(key) || this.#arrivals.size < this.#maxBuckets ? key : `${owner} *`;
  }

  #remember(key: string, arrival: number, now: number): void {
    this.#arrivals.delete(key);
    this.#arrivals.set(key, arrival);
    let looked = 0;
    for (const [oldest, itsArrival] of this.#arrivals) {
      if ((looked += 1) > SWEEP) return;
      // A bucket whose time has come is full: forgetting it changes nothing.
      if (itsArrival <= now) this.#arrivals.delete(oldest);
    }
  }

  #acquire(
    counter: Counter,
    caller: Caller,
    perCaller: number | undefined,
    total: number | undefined,
    shadowPerCaller: number | undefined,
    shadowTotal: number | undefined,
  ): Slot | { readonly refusal: Denied } {
    const key = callerKey(caller);
    const reason: Reason = { code: DenyCode.Concurrency, message: denyMessage(DenyCode.Concurrency) };
    if (counter.reached(key, perCaller, total)) return { refusal: { effect: 'deny', answer: 'Refused', visible: true, ...reason } };
    const wouldDeny = counter.reached(key, shadowPerCaller, shadowTotal);
    return { release: counter.take(key), ...(wouldDeny ? { wouldDeny: reason } : {}) };
  }
}

function refusalOf(rate: OwnedRate): Reason {
  const { policy, generation, name } = rate;
  return { code: DenyCode.RateLimited, policy, generation, rule: name, message: denyMessage(DenyCode.RateLimited, { limit: name }) };
}

/** Rate limits by what they count. */
class Rates {
  readonly ofRequests: readonly OwnedRate[];
  readonly #ofTools: readonly OwnedRate[];
  readonly #index = new GlobIndex('name');

  constructor(rates: readonly OwnedRate[]) {
    this.ofRequests = rates.filter((rate) => rate.tools === undefined);
    this.#ofTools = rates.filter((rate) => rate.tools !== undefined);
    this.#ofTools.forEach((rate, number) => {
      for (const glob of rate.tools ?? []) this.#index.add(glob, number);
    });
  }

  ofTool(tool: string): readonly OwnedRate[] {
    return this.#ofTools.length === 0 ? [] : this.#index.match(tool).flatMap((number) => this.#ofTools[number] ?? []);
  }
}

/** What is in flight, in total and per caller. */
class Counter {
  readonly #byCaller = new Map<string, number>();
  #total = 0;

  reached(key: string, perCaller: number | undefined, total: number | undefined): boolean {
    if (total !== undefined && this.#total >= total) return true;
    return perCaller !== undefined && (this.#byCaller.get(key) ?? 0) >= perCaller;
  }

  take(key: string): () => void {
    this.#total += 1;
    this.#byCaller.set(key, (this.#byCaller.get(key) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total -= 1;
      const left = (this.#byCaller.get(key) ?? 1) - 1;
      if (left === 0) this.#byCaller.delete(key);
      else this.#byCaller.set(key, left);
    };
  }
}
