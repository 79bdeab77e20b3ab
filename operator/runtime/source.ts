import { type Key, type KubeObject, keyOf } from '../kube/object.ts';
import { controllerOf, ownerUidOf, UID_INDEX } from './ownership.ts';
import type { Change, Store } from './store.ts';
import type { AddOptions } from './workqueue.ts';

export type Enqueue = (key: Key, options?: AddOptions) => void;

/** What wakes a controller. */
export interface Source {
  /** Stores that must be complete before the first reconcile. */
  readonly stores: readonly Store[];
  /** Begins to enqueue. Returns what ends it. */
  start(enqueue: Enqueue): () => void;
}

export type Predicate<T> = (change: Change<T>) => boolean;

/** The objects a controller is about. By default status changes do not wake it, since it writes them. */
export function primary<T extends KubeObject>(store: Store<T>, accept: Predicate<T> = changedBySomebody): Source {
  return {
    stores: [store],
    start: (enqueue) =>
      store.subscribe((change) => {
        if (accept(change)) enqueue(change.key, change.initial ? { priority: 'low' } : undefined);
      }),
  };
}

/**
 * The children of a controller's objects, by controller reference. A change that our own answer brought wakes nobody: the
 * reconcile that wrote it has seen it.
 */
export function owned<T extends KubeObject>(store: Store<T>, ownerKind: string, accept: Predicate<T> = changed): Source {
  return mapped(
    store,
    (object) => {
      const controller = controllerOf(object);
      if (controller?.kind !== ownerKind) return [];
      const { namespace } = object.metadata;
      return [namespace === undefined ? controller.name : `${namespace}/${controller.name}`];
    },
    (change) => !change.written && accept(change),
  );
}

/**
 * Children that cannot carry a controller reference, because they are cluster-scoped or in another namespace: found by the
 * annotation that `Children` leaves. `owners` has `uidIndex` under `UID_INDEX`.
 */
export function ownedAcross<T extends KubeObject>(
  store: Store<T>,
  annotation: string,
  owners: Store,
  accept: Predicate<T> = changed,
): Source {
  return mapped(
    store,
    (object) => {
      const uid = ownerUidOf(object, annotation);
      return uid === undefined ? [] : owners.by(UID_INDEX, uid).map(({ metadata }) => keyOf(metadata));
    },
    (change) => !change.written && accept(change),
  );
}

/** Objects that others refer to. `map` is asked for the old and the new object, so that moving a reference wakes both sides. */
export function mapped<T extends KubeObject>(store: Store<T>, map: (object: T) => Iterable<Key>, accept: Predicate<T> = changed): Source {
  return {
    stores: [store],
    start: (enqueue) =>
      store.subscribe((change) => {
        if (!accept(change)) return;
        const options: AddOptions | undefined = change.initial ? { priority: 'low' } : undefined;
        if (change.old !== undefined) for (const key of map(change.old)) enqueue(key, options);
        if (change.new !== undefined) for (const key of map(change.new)) enqueue(key, options);
      }),
  };
}

/** Wakes `keys` when an optional kind becomes known to the API server, or ceases to be. */
export function whenServed(store: Store, keys: () => Iterable<Key>): Source {
  return {
    stores: [],
    start: (enqueue) =>
      store.onServed(() => {
        for (const key of keys()) enqueue(key);
      }),
  };
}

/** Wakes whatever is passed to `enqueue` from outside: timers, verifications, HTTP. */
export class Channel implements Source {
  readonly stores: readonly Store[] = [];
  #enqueue: Enqueue = () => {};

  start(enqueue: Enqueue): () => void {
    this.#enqueue = enqueue;
    return () => {
      this.#enqueue = () => {};
    };
  }

  wake(key: Key, options?: AddOptions): void {
    this.#enqueue(key, options);
  }
}

/** Any difference at all. */
export const changed: Predicate<KubeObject> = ({ old, new: next }) => old?.metadata.resourceVersion !== next?.metadata.resourceVersion;

/** Any difference but that of the version: for stores that leave out what others write again and again, such as the figures of an autoscaler. */
export const changedAsKept: Predicate<KubeObject> = (change) => {
  const { old, new: next } = change;
  return changed(change) && (old === undefined || next === undefined || apartFromVersion(old) !== apartFromVersion(next));
};

const apartFromVersion = ({ metadata, ...rest }: KubeObject): string => JSON.stringify([{ ...metadata, resourceVersion: '' }, rest]);

/** Generation, deletion, labels, annotations or finalizers: everything but status. */
export const changedBySomebody: Predicate<KubeObject> = ({ old, new: next }) => {
  if (old === undefined || next === undefined) return true;
  const [a, b] = [old.metadata, next.metadata];
  return (
    a.uid !== b.uid ||
    a.generation !== b.generation ||
    a.deletionTimestamp !== b.deletionTimestamp ||
    !sameEntries(a.labels, b.labels) ||
    !sameEntries(a.annotations, b.annotations) ||
    (a.finalizers ?? []).join() !== (b.finalizers ?? []).join()
  );
};

function sameEntries(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
