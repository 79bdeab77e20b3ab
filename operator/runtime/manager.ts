import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import { isKubeError } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { apiVersionOf } from '../kube/resources.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import { EventRecorder } from './events.ts';
import { type Check, type HealthOptions, HealthServer, loopCheck } from './health.ts';
import { type LeaderElectionOptions, LeaderElector } from './leaderelection.ts';
import { Metrics } from './metrics.ts';
import { Reflector, type ReflectorObserver } from './reflector.ts';
import { type Index, ObjectStore, type Store } from './store.ts';

export interface ManagerOptions {
  /** Not fenced: `Manager.client` is. */
  readonly client: Client;
  readonly log: Logger;
  /** `reportingController` of events: `example.dev/name`. */
  readonly name?: string;
  /** Names this process in the Lease and in events. Must differ after a restart. Default: random. */
  readonly identity?: string;
  /** Only these; all when empty. */
  readonly namespaces?: readonly string[];
  readonly metrics?: Metrics;
  /** Without it this process leads from the start, and nothing keeps a second one from doing the same. */
  readonly leaderElection?: Pick<
    LeaderElectionOptions,
    'name' | 'namespace' | 'leaseSeconds' | 'renewDeadlineSeconds' | 'retrySeconds' | 'clock'
  >;
  /** Where probes are answered. Default: nowhere. */
  readonly health?: Pick<HealthOptions, 'port' | 'host'>;
  /** See `StoreOptions.freeze`. */
  readonly freeze?: boolean;
  /** Milliseconds for the first lists. client-go: 2 min. */
  readonly syncTimeout?: number;
  /** Milliseconds for reconciles to finish on stop. */
  readonly grace?: number;
}

export interface WatchSettings<T extends KubeObject> {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** One namespace whatever the manager's are. */
  readonly namespace?: string;
  readonly metadataOnly?: boolean;
  readonly transform?: (object: T) => T;
  readonly indexes?: Readonly<Record<string, Index<T>>>;
  /** The kind may be missing, and may appear later. */
  readonly optional?: boolean;
  /** The API server sends no bookmarks for the kind (events). */
  readonly silent?: boolean;
}

/** Anything else that runs as long as the process. */
export interface Runnable {
  readonly name: string;
  /** `leader` (default): only while this process leads. `always`: from the start, before caches are complete. */
  readonly when?: 'leader' | 'always';
  /** Resolves once it works. */
  start(signal: AbortSignal): Promise<unknown>;
  stop?(): Promise<void>;
}

/**
 * Holds caches, controllers and leadership of a process together, and starts and stops them in order.
 *
 * Start: servers (`/readyz` fails) → reflectors → caches complete, `/readyz` succeeds, also on a standby → lease → workers.
 * Stop: `/readyz` fails → queues close, workers finish → events are sent → the lease is released → reflectors → servers.
 *
 * Guarantees:
 * - nothing that goes through `client` or `events` leaves while the lease could have run out;
 * - a standby has complete caches, so taking over costs no list;
 * - when leadership is lost, reconciles are aborted at once and `ended` resolves with 1.
 */
export class Manager {
  /** For everything that writes: fenced by leadership. */
  readonly client: Client;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly #options: ManagerOptions;
  readonly #identity: string;
  readonly #elector: LeaderElector | undefined;
  readonly #reflectors: ((signal: AbortSignal) => Promise<void>)[] = [];
  readonly #stores: Store[] = [];
  readonly #controllers: Controller[] = [];
  readonly #runnables: Runnable[] = [];
  readonly #started: Runnable[] = [];
  readonly #live: Record<string, Check> = {};
  readonly #ready: Record<string, Check> = {};
  /** Ends electing, then, separately, caches: they serve until the last reconcile is done. */
  readonly #leaving = new AbortController();
  readonly #cachesEnd = new AbortController();
  readonly #ended = Promise.withResolvers<number>();
  #reflecting: Promise<void>[] = [];
  #health: HealthServer | undefined;
  #stopLoopCheck: () => void = () => {};
  #stopping: Promise<void> | undefined;
  #synced = false;
  #leads = false;

  constructor(options: ManagerOptions) {
    const { client, leaderElection, name = 'manager', log } = options;
    this.#options = options;
    this.metrics = options.metrics ?? new Metrics({ process: false });
    this.#identity = options.identity ?? `${name}-${crypto.randomUUID()}`;
    this.#elector =
      leaderElection === undefined
        ? undefined
        : new LeaderElector({
            client,
            identity: this.#identity,
            ...leaderElection,
            observer: {
              ...this.metrics.leader(leaderElection.name),
              failed: (err) => log.warn({ lease: leaderElection.name, err }, 'lease attempt failed'),
            },
          });
    const elector = this.#elector;
    this.client = elector === undefined ? client : client.with({ mayWrite: () => elector.isHeld() });
    this.events = new EventRecorder({
      client: this.client,
      controller: name,
      instance: this.#identity.slice(0, 128),
      onDropped: (reason) => {
        this.metrics.eventDropped();
        log.debug({ reason }, 'event dropped');
      },
    });
  }

  /** Whether this process leads. */
  get leads(): boolean {
    return this.#leads;
  }

  /** Resolves with the exit code once everything has stopped: 0 after `stop`, 1 when leadership was lost or the start failed. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** One watch and one cache of a kind, to be shared by all who read it. */
  watch<T extends KubeObject>(resource: Resource<T>, settings: WatchSettings<T> = {}): Store<T> {
    const { namespaces = [], client, log, freeze = false } = this.#options;
    const { indexes, namespace, ...rest } = settings;
    const scopes: readonly (string | undefined)[] =
      namespace !== undefined ? [namespace] : resource.namespaced && namespaces.length > 0 ? namespaces : [undefined];
    const name = `${resource.plural}.${apiVersionOf(resource)}`;
    const store = new ObjectStore<T>(name, {
      parts: scopes.length,
      transform: settings.transform,
      freeze,
      ...(indexes !== undefined && { indexes }),
      onListenerError: (err) => log.error({ store: name, err }, 'listener failed'),
    });
    for (const scope of scopes) {
      const observer = bothOf(this.metrics.reflector(name), said(log, name, scope, settings.optional === true));
      const reflector = new Reflector<T>({ client, resource, store, namespace: scope, ...rest, observer });
      this.#reflectors.push((signal) => reflector.run(signal));
    }
    this.#stores.push(store);
    return store;
  }

  controller(options: Omit<ControllerOptions, 'log' | 'observer'>): Controller {
    const observers = this.metrics.controller(options.name, options.workers ?? 16);
    const controller = new Controller({
      ...options,
      log: this.#options.log,
      observer: observers.controller,
      queue: { ...options.queue, observer: observers.queue },
    });
    this.metrics.queueOf(controller);
    this.#controllers.push(controller);
    return controller;
  }

  add(runnable: Runnable): void {
    this.#runnables.push(runnable);
  }

  /** Adds a check to `/readyz`. */
  readyCheck(name: string, check: Check): void {
    this.#ready[name] = check;
  }

  /** Adds a check to `/healthz`. */
  liveCheck(name: string, check: Check): void {
    this.#live[name] = check;
  }

  /**
   * Resolves when this process leads and its workers run, or when it was stopped before that. Rejects when the caches are
   * not complete in time or something does not start; then everything has been stopped again.
   */
  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      const wanted = this.#leaving.signal.aborted;
      await this.#stop(wanted ? 0 : 1, 0);
      if (!wanted) throw error;
    }
  }

  /** Resolves when everything has stopped in order. May be called at any time, more than once. */
  async stop(): Promise<void> {
    await this.#stop(0, this.#options.grace ?? 20_000);
  }

  async #start(): Promise<void> {
    const { syncTimeout = 120_000, log } = this.#options;
    const leaving = this.#leaving.signal;
    await this.#startHealth();
    for (const runnable of this.#runnables) if (runnable.when === 'always') await this.#startOne(runnable);

    this.#reflecting = this.#reflectors.map((run) => run(this.#cachesEnd.signal));
    await this.#sync(syncTimeout);
    this.#synced = true;
    log.info({ stores: this.#stores.length, identity: this.#identity }, 'caches filled');

    if (this.#elector !== undefined) {
      await this.#elector.acquire(leaving);
      log.info({ identity: this.#identity }, 'leadership acquired');
      void this.#elector.lost.then((reason) => this.#afterLoss(reason));
    }
    leaving.throwIfAborted();
    this.#leads = true;
    for (const controller of this.#controllers) controller.start();
    for (const runnable of this.#runnables) if (runnable.when !== 'always') await this.#startOne(runnable);
  }

  async #startHealth(): Promise<void> {
    const { health, log } = this.#options;
    if (health === undefined) return;
    const loop = loopCheck();
    this.#stopLoopCheck = loop.stop;
    this.#health = new HealthServer({
      ...health,
      live: Object.assign(this.#live, {
        loop: loop.check,
        leader: () => (this.#elector?.isStuck() === true ? 'the lease is held in name but has run out' : undefined),
      }),
      ready: Object.assign(this.#ready, {
        caches: () => (this.#synced ? undefined : `waiting for ${this.#waitingFor().join(', ')}`),
        shutdown: () => (this.#leaving.signal.aborted ? 'the process stops' : undefined),
      }),
    });
    const port = await this.#health.start();
    log.info({ port }, 'probes answered');
  }

  async #sync(milliseconds: number): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`caches not complete after ${milliseconds / 1000} s: ${this.#waitingFor().join(', ')}`));
    }, milliseconds);
    const leave = (): void => late.abort(this.#leaving.signal.reason);
    this.#leaving.signal.addEventListener('abort', leave, { once: true });
    try {
      await Promise.all([
        ...this.#controllers.map((controller) => controller.prepare(late.signal)),
        ...this.#stores.map((store) => store.whenSynced(late.signal)),
      ]);
    } finally {
      clearTimeout(timer);
      this.#leaving.signal.removeEventListener('abort', leave);
    }
  }

  #waitingFor(): string[] {
    return this.#stores.filter(({ synced }) => !synced).map(({ name }) => name);
  }

  async #startOne(runnable: Runnable): Promise<void> {
    this.#started.push(runnable);
    await runnable.start(this.#leaving.signal);
  }

  async #afterLoss(reason: Error): Promise<void> {
    if (this.#leaving.signal.aborted) return;
    this.#options.log.error({ err: reason }, 'leadership lost');
    await this.#stop(1, 0);
  }

  async #stop(code: number, grace: number): Promise<void> {
    this.#stopping ??= this.#stopInOrder(code, grace);
    await this.#stopping;
  }

  async #stopInOrder(code: number, grace: number): Promise<void> {
    const { log } = this.#options;
    log.info({ grace }, 'stopping');
    // `/readyz` fails from here on. The lease is renewed until nothing writes any more.
    this.#leaving.abort(new Error('the process stops'));
    const attempt = async (what: string, step: () => Promise<unknown>): Promise<void> => {
      try {
        await step();
      } catch (err) {
        log.warn({ err, what }, 'did not stop cleanly');
      }
    };
    await Promise.all(this.#controllers.map((controller) => attempt(controller.name, () => controller.stop(grace))));
    for (const runnable of this.#started.toReversed()) {
      if (runnable.when !== 'always') await attempt(runnable.name, async () => runnable.stop?.());
    }
    const brief = AbortSignal.timeout(3_000);
    await attempt('events', () => this.events.stop(brief));
    this.#leads = false;
    await attempt('lease', async () => this.#elector?.release(AbortSignal.timeout(3_000)));
    this.#cachesEnd.abort(new Error('the process stops'));
    await Promise.all(this.#reflecting);
    for (const runnable of this.#started.toReversed()) {
      if (runnable.when === 'always') await attempt(runnable.name, async () => runnable.stop?.());
    }
    await attempt('health', async () => this.#health?.stop());
    this.#stopLoopCheck();
    log.info({ code }, 'stopped');
    this.#ended.resolve(code);
  }
}

/** What cannot be read for lack of rights or of the kind is said once a minute. */
const QUIET = 60_000;

function said(log: Logger, store: string, namespace: string | undefined, optional: boolean): ReflectorObserver {
  let saidAt = Number.NEGATIVE_INFINITY;
  const fields = { store, ...(namespace !== undefined && { namespace }) };
  return {
    listed: (how, objects) => log.debug({ ...fields, how, objects }, 'listed'),
    failed: (err, retryIn) => {
      const expected = isKubeError(err, 'Expired') || (optional && isKubeError(err, 'NotFound'));
      const now = performance.now();
      if (expected || now - saidAt < QUIET) {
        log.debug({ ...fields, retryIn, err }, 'watch ended');
        return;
      }
      saidAt = now;
      log.warn({ ...fields, retryIn, err }, 'watch failed');
    },
  };
}

const bothOf = (a: ReflectorObserver, b: ReflectorObserver): ReflectorObserver => ({
  listed: (how, objects) => {
    a.listed?.(how, objects);
    b.listed?.(how, objects);
  },
  event: () => a.event?.(),
  watching: () => a.watching?.(),
  failed: (error, retryIn) => {
    a.failed?.(error, retryIn);
    b.failed?.(error, retryIn);
  },
});
