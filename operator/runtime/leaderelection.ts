import type { Client } from '../kube/client.ts';
import { isKubeError } from '../kube/errors.ts';
import { Leases } from '../kube/resources.ts';
import type { Lease } from '../kube/wire.ts';
import { microTime } from './conditions.ts';
import { expiryOf, type LeaseSpec, nextMove, type Observation, observe } from './lease.ts';
import { Reflector, type ReflectorClock, systemClock } from './reflector.ts';
import { ObjectStore } from './store.ts';

export interface LeaderElectionOptions {
  readonly client: Client;
  /** Of the Lease object. */
  readonly name: string;
  readonly namespace: string;
  /** Unique per process, also after a restart: pod name and a random part. */
  readonly identity: string;
  /** How long others wait for a silent holder. client-go: 15. */
  readonly leaseSeconds?: number;
  /** Without a successful renewal for this long the holder gives up. client-go: 10. */
  readonly renewDeadlineSeconds?: number;
  /** Between attempts. client-go: 2. */
  readonly retrySeconds?: number;
  /** How much earlier than others may take over the holder stops writing. */
  readonly marginSeconds?: number;
  readonly observer?: LeaderObserver;
  readonly clock?: LeaderClock;
}

export interface LeaderClock extends ReflectorClock {
  wall(): Date;
}

export interface LeaderObserver {
  leading?(leading: boolean): void;
  /** The lease had to be read, since it was not as last seen. */
  slowPath?(): void;
  failed?(error: unknown): void;
}

/** client-go `leaderelection.go`. */
const JITTER = 0.2;

/**
 * One leader among processes, by a Lease and the rules of client-go.
 *
 * Guarantees:
 * - `isHeld` is true only while no other candidate that keeps these rules can lead. It is computed from the monotonic time taken
 *   before the last successful renewal was sent, so a process that was paused knows at once, before any timer fires;
 * - a released lease is taken as soon as the watch brings it, a silent one right after its duration;
 * - renewals have connections of their own.
 *
 * Assumption: monotonic clocks run at about the same rate (the margin is 1 s in 15).
 * Caveat: a request that has left cannot be called back.
 */
export class LeaderElector {
  readonly #options: LeaderElectionOptions;
  readonly #client: Client;
  readonly #clock: LeaderClock;
  readonly #leaseSeconds: number;
  readonly #retry: number;
  readonly #lost = Promise.withResolvers<Error>();
  #seen: Observation | undefined;
  /** Monotonic time before the last successful write was sent; `undefined` when we do not lead. */
  #renewedAt: number | undefined;
  #wake: () => void = () => {};
  #renewing: Promise<void> = Promise.resolve();
  readonly #released = new AbortController();

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#client = options.client.with({ lane: 'leases' });
    this.#clock = options.clock ?? { ...systemClock, wall: () => new Date() };
    this.#leaseSeconds = options.leaseSeconds ?? 15;
    this.#retry = (options.retrySeconds ?? 2) * 1000;
  }

  get identity(): string {
    return this.#options.identity;
  }

  /** Whether a write may leave now. */
  isHeld(): boolean {
    if (this.#renewedAt === undefined) return false;
    const { marginSeconds = 1 } = this.#options;
    return this.#clock.now() < this.#renewedAt + (this.#leaseSeconds - marginSeconds) * 1000;
  }

  /** Whether we are the leader by name although the lease has run out by more than `toleranceSeconds`: something is stuck. */
  isStuck(toleranceSeconds = 20): boolean {
    return this.#renewedAt !== undefined && this.#clock.now() > this.#renewedAt + (this.#leaseSeconds + toleranceSeconds) * 1000;
  }

  /** Resolves with the reason when leadership ends without `release`. */
  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  /** Resolves when we lead; rejects with the signal's reason. From then on the lease is renewed until `release` or until it is lost. */
  async acquire(signal: AbortSignal): Promise<void> {
    const standby = new AbortController();
    const stop = (): void => standby.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const watching = this.#watch(standby.signal);
    try {
      for (;;) {
        signal.throwIfAborted();
        if (await this.#attempt(signal)) break;
        await this.#waitForChance(signal);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      standby.abort();
      await watching;
    }
    this.#options.observer?.leading?.(true);
    this.#renewing = this.#renew();
  }

  /** Gives the lease up, so that the next one need not wait for it to run out. Call when nothing writes any more. */
  async release(signal: AbortSignal): Promise<void> {
    this.#released.abort();
    await this.#renewing;
    if (this.#renewedAt === undefined) return;
    this.#renewedAt = undefined;
    this.#options.observer?.leading?.(false);
    try {
      await this.#writeReleased(signal);
    } catch (error) {
      // A renewal whose answer was lost has moved the version.
      if (!isKubeError(error, 'Conflict')) throw error;
      await this.#read(signal);
      await this.#writeReleased(signal);
    }
  }

  async #writeReleased(signal: AbortSignal): Promise<void> {
    if (this.#seen?.spec.holderIdentity !== this.identity) return;
    const { spec, resourceVersion } = this.#seen;
    await this.#write(
      { ...spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(this.#clock.wall()) },
      resourceVersion,
      signal,
    );
  }

  async #renew(): Promise<void> {
    const deadline = (this.#options.renewDeadlineSeconds ?? 10) * 1000;
    const released = this.#released.signal;
    while (!released.aborted) {
      await this.#clock.sleep(this.#retry, released);
      const renewedAt = this.#renewedAt;
      if (released.aborted || renewedAt === undefined) return;
      const left = renewedAt + deadline - this.#clock.now();
      if (left > 0 && (await this.#attempt(released, left))) continue;
      const { holderIdentity = '' } = this.#seen?.spec ?? {};
      const taken = holderIdentity !== '' && holderIdentity !== this.identity;
      if (!taken && this.#clock.now() < renewedAt + deadline) continue;
      this.#renewedAt = undefined;
      this.#options.observer?.leading?.(false);
      this.#lost.resolve(new Error(taken ? `the lease was taken by ${holderIdentity}` : 'the lease could not be renewed in time'));
      return;
    }
  }

  /** One round of client-go's `tryAcquireOrRenew`; never rejects. `within` is in milliseconds. */
  async #attempt(outer: AbortSignal, within = this.#leaseSeconds * 1000): Promise<boolean> {
    const limit = new AbortController();
    const cut = (): void => limit.abort(outer.reason);
    outer.addEventListener('abort', cut, { once: true });
    const timer = setTimeout(() => limit.abort(new Error('the lease request took too long')), within);
    try {
      const ours = this.#seen?.spec.holderIdentity === this.identity && this.#renewedAt !== undefined;
      if (ours && this.#seen !== undefined) {
        try {
          return await this.#move(this.#seen, limit.signal);
        } catch (error) {
          if (!isKubeError(error, 'Conflict', 'NotFound')) throw error;
          this.#options.observer?.slowPath?.();
        }
      }
      return await this.#move(await this.#read(limit.signal), limit.signal);
    } catch (error) {
      if (!outer.aborted) this.#options.observer?.failed?.(error);
      return false;
    } finally {
      clearTimeout(timer);
      outer.removeEventListener('abort', cut);
    }
  }

  async #move(seen: Observation | undefined, signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.now();
    const fresh: Observation = { spec: {}, resourceVersion: '', seenAt: now };
    const move = nextMove(seen ?? fresh, this.identity, this.#leaseSeconds, now, this.#clock.wall());
    if (move.type === 'wait') return false;
    const lease = await this.#write(move.spec, seen?.resourceVersion, signal);
    // From before the request was sent: our idea of how long we lead errs early.
    this.#renewedAt = now;
    this.#seen = { spec: move.spec, resourceVersion: lease.metadata.resourceVersion ?? '', seenAt: now };
    return true;
  }

  async #read(signal: AbortSignal): Promise<Observation | undefined> {
    const { name, namespace } = this.#options;
    try {
      const lease = await this.#client.get(Leases, { namespace, name }, { signal });
      return this.#notice(lease);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      this.#seen = undefined;
      return undefined;
    }
  }

  #notice({ metadata, spec }: Lease): Observation {
    this.#seen = observe(this.#seen, spec ?? {}, metadata.resourceVersion ?? '', this.#clock.now());
    return this.#seen;
  }

  async #write(spec: LeaseSpec, resourceVersion: string | undefined, signal: AbortSignal | undefined): Promise<Lease> {
    const { name, namespace } = this.#options;
    const lease: Lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace, ...(resourceVersion !== undefined && { resourceVersion }) },
      spec,
    };
    return resourceVersion === undefined ? this.#client.create(Leases, lease, { signal }) : this.#client.replace(Leases, lease, { signal });
  }

  /** Until the lease may be free, the retry period is over, or the watch brings a change, whichever is first. */
  async #waitForChance(signal: AbortSignal): Promise<void> {
    const retry = this.#retry * (1 + JITTER * (2 * this.#clock.random() - 1));
    const expiry = this.#seen === undefined ? 0 : expiryOf(this.#seen, this.#leaseSeconds) - this.#clock.now();
    // One millisecond more, since timers may fire one early.
    const pause = expiry > 0 ? Math.min(retry, expiry + 1) : retry;
    const chance = new AbortController();
    const end = (): void => chance.abort();
    signal.addEventListener('abort', end, { once: true });
    this.#wake = end;
    await this.#clock.sleep(pause, chance.signal);
    this.#wake = () => {};
    signal.removeEventListener('abort', end);
  }

  /** Tells a standby of each change at once: polling alone sees a renewal up to a retry period late, and waits that much longer. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { name, namespace } = this.#options;
    const store = new ObjectStore<Lease>('leader election');
    store.subscribe(({ new: lease }) => {
      if (lease === undefined || this.#renewedAt !== undefined) return;
      const seen = this.#notice(lease);
      if (expiryOf(seen, this.#leaseSeconds) <= this.#clock.now()) this.#wake();
    });
    const fieldSelector = `metadata.name=${name}`;
    await new Reflector({ client: this.#client, resource: Leases, store, namespace, fieldSelector, clock: this.#clock }).run(signal);
  }
}
