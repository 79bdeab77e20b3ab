import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import { isKubeError } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { apiVersionOf } from '../kube/resources.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import { Reflector, type ReflectorObserver } from './reflector.ts';
import { type Index, ObjectStore, type Store } from './store.ts';

export interface ManagerOptions {
  readonly client: Client;
  readonly log: Logger;
  /** Only these; all when empty. */
  readonly namespaces?: readonly string[];
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
}

/**
 * Holds the caches and controllers of a process together.
 */
export class Manager {
  readonly client: Client;
  readonly #options: ManagerOptions;
  readonly #reflectors: ((signal: AbortSignal) => Promise<void>)[] = [];
  readonly #stores: Store[] = [];
  readonly #controllers: Controller[] = [];
  readonly #stopped = new AbortController();
  #reflecting: Promise<void>[] = [];

  constructor(options: ManagerOptions) {
    this.client = options.client;
    this.#options = options;
  }

  /** One watch and one cache of a kind, to be shared by all who read it. */
  watch<T extends KubeObject>(resource: Resource<T>, settings: WatchSettings<T> = {}): Store<T> {
    const { namespaces = [], log } = this.#options;
    const { indexes, namespace, ...rest } = settings;
    const scopes: readonly (string | undefined)[] =
      namespace !== undefined ? [namespace] : resource.namespaced && namespaces.length > 0 ? namespaces : [undefined];
    const name = `${resource.plural}.${apiVersionOf(resource)}`;
    const store = new ObjectStore<T>(name, {
      parts: scopes.length,
      ...(indexes !== undefined && { indexes }),
      onListenerError: (err) => log.error({ store: name, err }, 'listener failed'),
    });
    for (const scope of scopes) {
      const reflector = new Reflector<T>({
        client: this.client,
        resource,
        store,
        namespace: scope,
        ...rest,
        observer: logged(log, name, scope),
      });
      this.#reflectors.push((signal) => reflector.run(signal));
    }
    this.#stores.push(store);
    return store;
  }

  controller(options: Omit<ControllerOptions, 'log'>): Controller {
    const controller = new Controller({ ...options, log: this.#options.log });
    this.#controllers.push(controller);
    return controller;
  }

  /** Resolves when the caches are complete and the workers run. */
  async start(): Promise<void> {
    const { syncTimeout = 120_000 } = this.#options;
    this.#reflecting = this.#reflectors.map((run) => run(this.#stopped.signal));
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(syncTimeout)]);
    await Promise.all([
      ...this.#controllers.map((controller) => controller.prepare(signal)),
      ...this.#stores.map((store) => store.whenSynced(signal)),
    ]);
    for (const controller of this.#controllers) controller.start();
  }

  async stop(): Promise<void> {
    const { grace = 20_000 } = this.#options;
    await Promise.all(this.#controllers.map((controller) => controller.stop(grace)));
    this.#stopped.abort(new Error('the process stops'));
    await Promise.all(this.#reflecting);
  }
}

/** What cannot be read for lack of rights or of the kind is said once a minute. */
const QUIET = 60_000;

function logged(log: Logger, store: string, namespace: string | undefined): ReflectorObserver {
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    failed: (err, retryIn) => {
      if (isKubeError(err, 'Expired')) {
        log.debug({ store, namespace, err }, 'watch expired');
        return;
      }
      const now = performance.now();
      if (now - saidAt < QUIET) return;
      saidAt = now;
      log.warn({ store, namespace, retryIn, err }, 'watch failed');
    },
  };
}
