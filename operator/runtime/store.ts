import { type Key, type KubeObject, keyOf } from '../kube/object.ts';

/** What happened to one object. `old` is absent when it is new, `new` when it is gone. */
export interface Change<T> {
  readonly key: Key;
  readonly old?: T | undefined;
  readonly new?: T | undefined;
  /** From a first list: nothing happened, the object was merely there. Served at low priority. */
  readonly initial: boolean;
  /** From an answer to our own write, not from the watch. Whoever wrote it knows already. */
  readonly written: boolean;
}

export type Listener<T> = (change: Change<T>) => void;

/** Values by which objects are found, for one object. */
export type Index<T> = (object: T) => readonly string[];

/**
 * What the cluster holds of one kind, read side.
 *
 * Guarantees:
 * - objects are never changed after they were stored, and each is shared by all readers: do not change them either;
 * - indexes are in step with the objects at any time;
 * - listeners see every difference at least once, per key in order, one at a time;
 * - what `written` and `removed` reported is not undone by an older event of the watch (read your own writes).
 */
export interface Store<T extends KubeObject = KubeObject> {
  readonly name: string;
  readonly size: number;
  /** The first list is complete. */
  readonly synced: boolean;
  /** The API server knows the kind. False before the first answer and while its CRD is missing. */
  readonly served: boolean;
  get(key: Key): T | undefined;
  has(key: Key): boolean;
  values(): IterableIterator<T>;
  keys(): IterableIterator<Key>;
  /** The objects that an index lists under `value`. Rejects unknown indexes. */
  by(index: string, value: string): readonly T[];
  /** Calls back for each change from now on, and first for each object already held. Returns what ends it. */
  subscribe(listener: Listener<T>): () => void;
  /** Calls back when the kind becomes served or ceases to be, and at once if it is. */
  onServed(listener: (served: boolean) => void): () => void;
  /** Resolves when `synced`; rejects with the signal's reason. */
  whenSynced(signal?: AbortSignal): Promise<void>;
  /** Says what the API server answered to a write, so that readers see it before the watch brings it. */
  written(object: T): void;
  /** Says that the API server removed this very object. */
  removed(key: Key, uid: string): void;
}

export interface StoreOptions<T> {
  readonly indexes?: Readonly<Record<string, Index<T>>>;
  /** What is kept of an answer to a write, which it may change: what reflectors keep of an object, too. Default: without `managedFields`. */
  readonly transform?: ((object: T) => T) | undefined;
  /** How many reflectors fill it, one per namespace. Default 1. */
  readonly parts?: number;
  /** Freezes what is stored, so that a reader who changes it fails at once. For tests: it costs as much as a copy. Default false. */
  readonly freeze?: boolean;
  /** Called with errors thrown by listeners, which end nothing. */
  readonly onListenerError?: (error: unknown) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Pending {
  readonly resourceVersion: string;
  /** The removed object; `undefined` for one that was written. */
  readonly removed: string | undefined;
  readonly since: number;
}

/** Versions run backwards only when etcd was restored from a backup; then own writes stop mattering after a minute. */
const PENDING_TTL = 60_000;

/** Both sides of a store. Reflectors write through `set`, `delete`, `replace` and `progress`. */
export class ObjectStore<T extends KubeObject> implements Store<T> {
  readonly name: string;
  readonly #objects = new Map<Key, T>();
  readonly #indexers: readonly (readonly [string, Index<T>])[];
  readonly #indexes = new Map<string, Map<string, Set<Key>>>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #servedListeners = new Set<(served: boolean) => void>();
  /** Up to which version the watch, of each namespace where there are several, has brought everything. */
  readonly #seen = new Map<string | undefined, string>();
  /** Own writes that the watch has not brought yet. */
  readonly #pending = new Map<Key, Pending>();
  readonly #onListenerError: (error: unknown) => void;
  readonly #now: () => number;
  readonly #transform: (object: T) => T;
  readonly #parts: number;
  readonly #freeze: boolean;
  readonly #syncedParts = new Set<string | undefined>();
  #waiting: (() => void)[] = [];
  #synced = false;
  #served = false;

  constructor(
    name: string,
    {
      indexes = {},
      transform = withoutManagedFields,
      parts = 1,
      freeze = false,
      onListenerError = () => {},
      now = () => performance.now(),
    }: StoreOptions<T> = {},
  ) {
    this.name = name;
    this.#transform = transform;
    this.#parts = parts;
    this.#freeze = freeze;
    this.#indexers = Object.entries(indexes);
    for (const [index] of this.#indexers) this.#indexes.set(index, new Map());
    this.#onListenerError = onListenerError;
    this.#now = now;
  }

  get size(): number {
    return this.#objects.size;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get served(): boolean {
    return this.#served;
  }

  get(key: Key): T | undefined {
    return this.#objects.get(key);
  }

  has(key: Key): boolean {
    return this.#objects.has(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  keys(): IterableIterator<Key> {
    return this.#objects.keys();
  }

  by(index: string, value: string): readonly T[] {
    const values = this.#indexes.get(index);
    if (values === undefined) throw new Error(`store ${this.name} has no index ${index}`);
    const found: T[] = [];
    for (const key of values.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  subscribe(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    for (const [key, object] of this.#objects) this.#tell(listener, { key, new: object, initial: true, written: false });
    return () => this.#listeners.delete(listener);
  }

  onServed(listener: (served: boolean) => void): () => void {
    this.#servedListeners.add(listener);
    if (this.#served) listener(true);
    return () => this.#servedListeners.delete(listener);
  }

  async whenSynced(signal?: AbortSignal): Promise<void> {
    if (this.#synced) return;
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(resolve);
    await promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  written(object: T): void {
    const key = keyOf(object.metadata);
    const resourceVersion = object.metadata.resourceVersion ?? '';
    const known = this.#objects.get(key);
    if (known !== undefined && !isNewer(resourceVersion, known.metadata.resourceVersion)) return;
    // An answer that was overtaken by the watch: what is not here any more was deleted since.
    if (!isNewer(resourceVersion, this.#seen.get(this.#partOf(object.metadata.namespace)))) return;
    this.#pending.set(key, { resourceVersion, removed: undefined, since: this.#now() });
    this.#put(key, this.#transform(object), { initial: false, written: true });
  }

  removed(key: Key, uid: string): void {
    const known = this.#objects.get(key);
    if (known !== undefined && known.metadata.uid !== uid) return;
    this.#pending.set(key, { resourceVersion: known?.metadata.resourceVersion ?? '', removed: uid, since: this.#now() });
    if (known !== undefined) this.#drop(key, known, true);
  }

  /** An object as the watch or a list brought it. */
  set(object: T, initial = false): void {
    const key = keyOf(object.metadata);
    this.#brought(object);
    if (this.#overtaken(key, object)) return;
    this.#put(key, object, { initial, written: false });
  }

  /** An object that the watch says is gone. */
  delete(object: T): void {
    const key = keyOf(object.metadata);
    this.#brought(object);
    if (this.#overtaken(key, object, true)) return;
    const known = this.#objects.get(key);
    if (known !== undefined) this.#drop(key, known, false);
  }

  /** The whole content, or that of one namespace, as of `resourceVersion`. Equal versions change nothing; what is missing is deleted. */
  replace(objects: ReadonlyMap<Key, T>, resourceVersion: string, namespace?: string): void {
    const initial = !this.#syncedParts.has(namespace);
    this.progress(resourceVersion);
    // Not the larger one: versions start anew when etcd was restored.
    this.#seen.set(namespace, resourceVersion);
    for (const [key, known] of this.#objects) {
      if (objects.has(key) || (namespace !== undefined && known.metadata.namespace !== namespace)) continue;
      if (!this.#pending.has(key)) this.#drop(key, known, false);
    }
    for (const object of objects.values()) this.set(object, initial);
  }

  /** Everything up to this version has been seen: own writes before it need no protection any more. */
  progress(resourceVersion: string): void {
    if (this.#pending.size === 0) return;
    const expired = this.#now() - PENDING_TTL;
    for (const [key, pending] of this.#pending) {
      // A removal has no version of its own: it ends with its event, with a list, or by time.
      const seen = pending.removed === undefined && !isNewer(pending.resourceVersion, resourceVersion);
      if (seen || pending.since < expired) this.#pending.delete(key);
    }
  }

  /** The first list is complete, of one namespace where there is a reflector for each. */
  markSynced(namespace?: string): void {
    this.#syncedParts.add(namespace);
    if (this.#synced || this.#syncedParts.size < this.#parts) return;
    this.#synced = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  markServed(served: boolean): void {
    if (this.#served === served) return;
    this.#served = served;
    for (const listener of this.#servedListeners) this.#guard(() => listener(served));
  }

  #partOf(namespace: string | undefined): string | undefined {
    return this.#parts === 1 ? undefined : namespace;
  }

  #brought({ metadata: { namespace, resourceVersion = '' } }: T): void {
    const part = this.#partOf(namespace);
    if (isNewer(resourceVersion, this.#seen.get(part))) this.#seen.set(part, resourceVersion);
  }

  /** Whether an event is older than what we wrote since. */
  #overtaken(key: Key, { metadata: { uid, resourceVersion } }: T, deletion = false): boolean {
    const pending = this.#pending.get(key);
    if (pending === undefined) return false;
    if (this.#now() - pending.since > PENDING_TTL) {
      this.#pending.delete(key);
      return false;
    }
    if (pending.removed !== undefined) {
      if (pending.removed === uid && !deletion) return true;
      this.#pending.delete(key);
      return false;
    }
    if (isNewer(pending.resourceVersion, resourceVersion)) return true;
    this.#pending.delete(key);
    return false;
  }

  #put(key: Key, object: T, origin: Pick<Change<T>, 'initial' | 'written'>): void {
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion && old.metadata.uid === object.metadata.uid)
      return;
    this.#objects.set(key, this.#freeze ? deepFreeze(object) : object);
    this.#reindex(key, old, object);
    this.#emit({ key, old, new: object, ...origin });
  }

  #drop(key: Key, old: T, written: boolean): void {
    this.#objects.delete(key);
    this.#reindex(key, old, undefined);
    this.#emit({ key, old, initial: false, written });
  }

  #reindex(key: Key, old: T | undefined, next: T | undefined): void {
    for (const [name, index] of this.#indexers) {
      const values = this.#indexes.get(name);
      if (values === undefined) continue;
      const before = old === undefined ? [] : index(old);
      const after = next === undefined ? [] : index(next);
      for (const value of before) {
        if (after.includes(value)) continue;
        const keys = values.get(value);
        keys?.delete(key);
        if (keys?.size === 0) values.delete(value);
      }
      for (const value of after) {
        const keys = values.get(value);
        if (keys === undefined) values.set(value, new Set([key]));
        else keys.add(key);
      }
    }
  }

  #emit(change: Change<T>): void {
    for (const listener of this.#listeners) this.#tell(listener, change);
  }

  #tell(listener: Listener<T>, change: Change<T>): void {
    this.#guard(() => listener(change));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#onListenerError(error);
    }
  }
}

function deepFreeze<V>(value: V): V {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}

/**
 * Whether version `a` is newer than `b`. Versions of one kind are comparable as integers (KEP-5504), and too large for
 * a double; the longer one is larger. Absent is oldest.
 */
export function isNewer(a: string, b: string | undefined): boolean {
  if (b === undefined) return a !== '';
  return a.length === b.length ? a > b : a.length > b.length;
}

/** They are often half of an object, and hardly anybody reads them. Assigned, not deleted: a deleted member turns the object into a slow, larger dictionary. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields !== undefined) (object.metadata as { managedFields?: unknown }).managedFields = undefined;
  return object;
}
