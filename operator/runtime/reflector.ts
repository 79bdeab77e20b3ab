import type { Client, WatchEvent } from '../kube/client.ts';
import { errorOfStatus, isKubeError, KubeError } from '../kube/errors.ts';
import { type Key, type KubeObject, keyOf, type Resource } from '../kube/object.ts';
import { apiVersionOf } from '../kube/resources.ts';
import { Backoff } from './backoff.ts';
import { type ObjectStore, withoutManagedFields } from './store.ts';

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<Client, 'list' | 'watch'>;
  readonly resource: Resource<T>;
  readonly store: ObjectStore<T>;
  /** One namespace; all of them when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Holds `metadata` alone. */
  readonly metadataOnly?: boolean | undefined;
  /** What is stored instead of the object, which it may change. Default: without `managedFields`. */
  readonly transform?: ((object: T) => T) | undefined;
  /**
   * The API server has no watch cache for the kind and so sends no bookmarks (events): silence does not mean that the connection is dead. One
   * that is dead is found when the watch should have ended, after ten minutes at most.
   */
  readonly silent?: boolean | undefined;
  /** The kind may be missing: that counts as synced and empty, and is asked again every `absentInterval`. */
  readonly optional?: boolean | undefined;
  /** Milliseconds between questions for an optional kind that is missing. */
  readonly absentInterval?: number | undefined;
  /** Objects per page where the server cannot stream lists. client-go: 500. */
  readonly pageSize?: number | undefined;
  readonly observer?: ReflectorObserver | undefined;
  readonly clock?: ReflectorClock | undefined;
}

export interface ReflectorClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Resolves after `milliseconds` or when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  random(): number;
}

/** What happened, for logs and metrics. */
export interface ReflectorObserver {
  /** A list was complete: `streamed` or `paged`. */
  listed?(how: 'streamed' | 'paged', objects: number): void;
  event?(): void;
  /** A list or watch failed and is tried again. */
  failed?(error: unknown, retryIn: number): void;
  /** A watch began. */
  watching?(): void;
}

type State<T> =
  | { readonly type: 'listing' }
  | { readonly type: 'paging'; readonly fresh: Map<Key, T>; readonly continue: string | undefined }
  | { readonly type: 'watching'; readonly resourceVersion: string }
  | { readonly type: 'waiting'; readonly milliseconds: number; readonly next: State<T> };

const LISTING = { type: 'listing' } as const;

/** client-go `reflector.go`: watches end by themselves after 5–10 minutes, at random so that they do not end together. */
const MIN_WATCH_SECONDS = 300;
/** How long after its own timeout a watch is cut, should the server have forgotten it. */
const WATCH_GRACE = 5_000;
/** A watch that ended this soon without an event is no watch. */
const VERY_SHORT_WATCH = 1_000;
/**
 * Longest wait, before jitter, while nobody answers at all: there is no server to spare. With client-go's 30 s some caches stay stale for up to a minute
 * after an outage (62 s seen until the last of 24 watches was back).
 */
const UNREACHABLE_CAP = 3_000;
/** client-go: error-free time after which the backoff starts over. */
const BACKOFF_RESET = 120_000;

/**
 * Keeps a store equal to what the API server holds of one kind.
 *
 * Guarantees:
 * - runs until its signal aborts: no answer of the server and no broken connection ends it;
 * - the store is replaced only by complete lists, and stays readable while the server is away;
 * - no event older than one already stored for its key is stored, and events are stored in order;
 * - a list of objects that did not change tells listeners nothing.
 *
 * Assumptions: an API server that sends bookmarks about once a minute (the transport takes silence for death).
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: ReflectorClock;
  readonly #backoff: Backoff;
  readonly #apiVersion: string;
  /** Set for the rest of the process once the server said that it cannot stream lists. */
  #pagingOnly = false;
  #lastFailure = Number.NEGATIVE_INFINITY;
  /** The last failure was that nobody answered. */
  #unreachable = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff({ base: 800, cap: 30_000, jitter: 1, random: () => this.#clock.random() });
    this.#apiVersion = apiVersionOf(options.resource);
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let state: State<T> = LISTING;
    while (!signal.aborted) {
      try {
        state = await this.#step(state, signal);
      } catch (error) {
        if (signal.aborted) return;
        state = this.#afterFailure(state, error);
      }
    }
  }

  async #step(state: State<T>, signal: AbortSignal): Promise<State<T>> {
    if (state.type === 'listing' && !this.#pagingOnly) return this.#stream(signal);
    if (state.type === 'listing') return { type: 'paging', fresh: new Map(), continue: undefined };
    if (state.type === 'paging') return this.#page(state, signal);
    if (state.type === 'watching') return this.#watch(state.resourceVersion, signal);
    await this.#clock.sleep(state.milliseconds, signal);
    return state.next;
  }

  /** A streamed list is the beginning of a watch: the same connection carries both. */
  async #stream(signal: AbortSignal): Promise<State<T>> {
    let fresh: Map<Key, T> | undefined = new Map();
    let resourceVersion = '';
    const startedAt = this.#clock.now();
    try {
      await this.#open({ sendInitialEvents: true }, signal, (event) => {
        if (event.type === 'ERROR') throw errorOfStatus(event.object);
        if (fresh === undefined) {
          resourceVersion = this.#store(event);
          return;
        }
        if (event.type === 'BOOKMARK') {
          if (event.object.metadata.annotations?.['k8s.io/initial-events-end'] !== 'true') return;
          resourceVersion = event.object.metadata.resourceVersion ?? '';
          this.#replace(fresh, resourceVersion, 'streamed');
          fresh = undefined;
          return;
        }
        const object = this.#prepare(event.object);
        const key = keyOf(object.metadata);
        if (event.type === 'DELETED') fresh.delete(key);
        else fresh.set(key, object);
      });
    } catch (error) {
      if (fresh !== undefined && cannotStream(error)) {
        this.#pagingOnly = true;
        return { type: 'paging', fresh: new Map(), continue: undefined };
      }
      if (fresh !== undefined) throw error;
      return this.#afterFailure({ type: 'watching', resourceVersion }, error, signal);
    }
    // Ended before the list did: an ordinary timeout cannot be that quick, but starting over is right in any case.
    if (fresh !== undefined) return this.#veryShort(startedAt, LISTING) ?? LISTING;
    return { type: 'watching', resourceVersion };
  }

  async #page({ fresh, continue: token }: State<T> & { type: 'paging' }, signal: AbortSignal): Promise<State<T>> {
    const { client, resource, namespace, labelSelector, fieldSelector, metadataOnly, pageSize = 500 } = this.#options;
    const list = await client.list(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      limit: pageSize,
      continue: token,
      signal,
    });
    for (const item of list.items) {
      const object = this.#prepare(item);
      fresh.set(keyOf(object.metadata), object);
    }
    if (list.continue !== undefined) return { type: 'paging', fresh, continue: list.continue };
    this.#replace(fresh, list.resourceVersion, 'paged');
    return { type: 'watching', resourceVersion: list.resourceVersion };
  }

  async #watch(from: string, signal: AbortSignal): Promise<State<T>> {
    let resourceVersion = from;
    let events = 0;
    const startedAt = this.#clock.now();
    try {
      await this.#open({ resourceVersion }, signal, (event) => {
        if (event.type === 'ERROR') throw errorOfStatus(event.object);
        events += 1;
        resourceVersion = this.#store(event);
      });
    } catch (error) {
      return this.#afterFailure({ type: 'watching', resourceVersion }, error, signal);
    }
    const next: State<T> = { type: 'watching', resourceVersion };
    return (events === 0 ? this.#veryShort(startedAt, next) : undefined) ?? next;
  }

  async #open(
    from: { readonly resourceVersion?: string; readonly sendInitialEvents?: boolean },
    signal: AbortSignal,
    onEvent: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector, metadataOnly, silent, observer } = this.#options;
    const timeoutSeconds = Math.round(MIN_WATCH_SECONDS * (1 + this.#clock.random()));
    const cut = new AbortController();
    const timer = setTimeout(
      () => cut.abort(new KubeError('Network', 'the server forgot to end the watch')),
      timeoutSeconds * 1000 + WATCH_GRACE,
    );
    timer.unref();
    const stop = (): void => cut.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await client.watch<T>(
        resource,
        {
          namespace,
          labelSelector,
          fieldSelector,
          metadataOnly,
          timeoutSeconds,
          silent,
          ...from,
          signal: cut.signal,
          onOpen: () => observer?.watching?.(),
        },
        onEvent,
      );
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Stores one event and returns its version. */
  #store(event: Exclude<WatchEvent<T>, { type: 'ERROR' }>): string {
    const { store, observer } = this.#options;
    const resourceVersion = event.object.metadata.resourceVersion ?? '';
    observer?.event?.();
    if (event.type === 'BOOKMARK') store.progress(resourceVersion);
    else if (event.type === 'DELETED') store.delete(this.#prepare(event.object));
    else store.set(this.#prepare(event.object));
    return resourceVersion;
  }

  #replace(fresh: Map<Key, T>, resourceVersion: string, how: 'streamed' | 'paged'): void {
    const { store, namespace, observer } = this.#options;
    observer?.listed?.(how, fresh.size);
    store.replace(fresh, resourceVersion, namespace);
    store.markServed(true);
    store.markSynced(namespace);
  }

  /** List items carry no kind of their own, and partial objects a foreign one. */
  #prepare(object: T): T {
    const { transform = withoutManagedFields, resource } = this.#options;
    const open = object as { apiVersion: string; kind: string };
    if (object.kind !== resource.kind) {
      open.apiVersion = this.#apiVersion;
      open.kind = resource.kind;
    }
    return transform(object);
  }

  #veryShort(startedAt: number, then: State<T>): State<T> | undefined {
    if (this.#clock.now() - startedAt >= VERY_SHORT_WATCH) return undefined;
    return this.#wait(new KubeError('Unknown', 'the watch ended at once, without an event'), then);
  }

  #afterFailure(state: State<T>, error: unknown, signal?: AbortSignal): State<T> {
    if (signal?.aborted === true) return state;
    const { optional = false, absentInterval = 10_000, store, namespace, observer } = this.#options;
    // The version is too old, or a continue token is: only a new list helps. Either may be true of every object, so not at once.
    if (isKubeError(error, 'Expired')) return this.#wait(error, LISTING);
    if (isKubeError(error, 'NotFound')) {
      store.markServed(false);
      store.replace(new Map(), '', namespace);
      if (optional) {
        store.markSynced(namespace);
        observer?.failed?.(error, absentInterval);
        return { type: 'waiting', milliseconds: absentInterval * (0.9 + 0.2 * this.#clock.random()), next: LISTING };
      }
      return this.#wait(error, LISTING);
    }
    if (state.type === 'watching') return this.#wait(error, state);
    return this.#wait(error, LISTING);
  }

  #wait(error: unknown, then: State<T>): State<T> {
    const now = this.#clock.now();
    const unreachable = isKubeError(error, 'Network');
    // The first refusal after an outage is no reason to wait as if the server had refused all the time.
    if (now - this.#lastFailure > BACKOFF_RESET || (this.#unreachable && !unreachable)) this.#backoff.reset();
    this.#lastFailure = now;
    this.#unreachable = unreachable;
    const asked = isKubeError(error) ? error.retryAfter : undefined;
    const milliseconds = asked ?? this.#backoff.next(unreachable ? UNREACHABLE_CAP : undefined);
    this.#options.observer?.failed?.(error, milliseconds);
    return { type: 'waiting', milliseconds, next: then };
  }
}

/**
 * Older servers refuse `sendInitialEvents`; kube-apiserver on an etcd without progress requests accepts it and then
 * sends an error event (seen with 1.35.4 on etcd 3.4).
 */
function cannotStream(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return (
    ['BadRequest', 'Invalid', 'NotAcceptable'].includes(error.code) ||
    (error.status === 500 && error.message.includes('RequestWatchProgress'))
  );
}

export const systemClock: ReflectorClock = {
  now: () => performance.now(),
  random: Math.random,
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener('abort', done, { once: true });
    }),
};
