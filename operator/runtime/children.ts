import type { Client, JSONPatch } from '../kube/client.ts';
import { isKubeError, isOtherObject } from '../kube/errors.ts';
import { type Key, type KubeObject, keyOf, type Resource } from '../kube/object.ts';
import { isOrphan, takeover } from './adoption.ts';
import { covers, project } from './covers.ts';
import { digest } from './digest.ts';
import { controllerOf, NameConflict, OWNER_INDEX, type Owner, ownerUidOf } from './ownership.ts';
import type { Store } from './store.ts';

/** One kind of object that an owner may have. */
export interface ChildKind<T extends KubeObject = KubeObject> {
  readonly resource: Resource<T>;
  /** Our objects of that kind, with `ownerIndex` under `OWNER_INDEX`. */
  readonly store: Store<T>;
  /** Members (`rules`, `subjects`, `spec`) that are ours entirely: what others add to them goes. */
  readonly exact?: readonly string[];
  /** Whether an object that is no longer wanted may be deleted. Default: any. */
  readonly mayPrune?: (object: T) => boolean;
  /** Whether an object is deleted and made anew when a field cannot be changed (`roleRef`). Default: the error stands. */
  readonly recreate?: boolean;
  /** Called before an existing object is changed, for hand-overs. */
  readonly beforeApply?: (
    live: T,
    desired: KubeObject,
    context: { readonly client: Client; readonly signal: AbortSignal },
  ) => Promise<void>;
}

/** A `ChildKind` among others: its methods are called with its own objects only. */
export type AnyChildKind = { readonly [K in keyof ChildKind]: ChildKind[K] };

export interface ChildrenOptions {
  readonly client: Client;
  readonly fieldManager: string;
  readonly kinds: readonly AnyChildKind[];
  /** Remembers on each object whose it is and the digest of what was last asked: `<owner uid>.<digest>`. */
  readonly annotation: string;
  /** Whether an object has a name and place that a child of the owner can have. What has not is a copy that somebody else made. Default: any. */
  readonly canBe?: (object: KubeObject, owner: Owner) => boolean;
  /** Whether an owner of that uid exists. Children of one that does not are taken over by the owner that wants them. Default: it does. */
  readonly lives?: (uid: string) => boolean;
  readonly onAdopted?: (owner: Owner, object: KubeObject) => void;
}

export interface Convergence {
  readonly applied: number;
  readonly pruned: number;
}

/** A desired object: what we want to be true, in the forms the API server gives back (canonical quantities, explicit protocols). */
export type Desired = Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>;

/** No object has this version: an apply that names it creates, or conflicts with whatever is there without touching it (seen with 1.35.4). */
const ABSENT = '1';

/**
 * Brings the children of owners to what is wanted, by server-side apply.
 *
 * Guarantees:
 * - nothing is sent for an object that already is as asked: its annotation carries the digest of the wish, and live covers it;
 * - a field that is no longer wanted is released (the digest differs), a field changed by others comes back (live no longer covers);
 * - an object that belongs to somebody else is never touched, also when no cache shows it: the first apply is conditional on
 *   absence, later ones on the uid;
 * - a child that came back from a backup, without its owner or with another one's uid, is taken over with all of its fields;
 * - answers go into the stores, so a lagging watch leads to no second write;
 * - what is deleted is one of the owner's known children, by uid, and no copy of one.
 *
 * Assumption: the names of children follow from the owner, so creating twice is impossible.
 */
export class Children {
  readonly #options: ChildrenOptions;
  readonly #kinds: ReadonlyMap<string, AnyChildKind>;
  /** Live objects known to be as asked in the digest. They never change, so once is enough. */
  readonly #verified = new WeakMap<KubeObject, string>();
  /** By uid: what the server made of a wish that it stores in another form, so that the difference is not taken for drift. */
  readonly #normalized = new Map<string, { readonly asked: string; readonly answered: string }>();

  constructor(options: ChildrenOptions) {
    this.#options = options;
    this.#kinds = new Map(options.kinds.map((kind) => [kind.resource.kind, kind]));
    for (const { store } of options.kinds) {
      store.subscribe(({ old, new: next }) => {
        if (next === undefined && old?.metadata.uid !== undefined) this.#normalized.delete(old.metadata.uid);
      });
    }
  }

  /**
   * Applies `stages` one after the other, the objects of a stage at once, then deletes the children that are not among them.
   * Rejects with the first error of the first stage that had one; later stages are then left alone, and nothing is deleted.
   */
  async converge(owner: Owner, stages: readonly (readonly Desired[])[], signal: AbortSignal): Promise<Convergence> {
    let applied = 0;
    for (const stage of stages) applied += await this.apply(owner, stage, signal);
    return { applied, pruned: await this.prune(owner, stages.flat(), signal) };
  }

  /** Applies objects at once and deletes nothing. Resolves with how many were not as asked; rejects with the first error when all have been tried. */
  async apply(owner: Owner, stage: readonly Desired[], signal: AbortSignal): Promise<number> {
    const outcomes = await Promise.allSettled(stage.map((desired) => this.#ensure(owner, desired, signal)));
    let applied = 0;
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      if (outcome.value) applied += 1;
    }
    return applied;
  }

  /** Deletes all children, for finalizers of what the garbage collector cannot reach. Resolves with how many are still there. */
  async remove(owner: Owner, signal: AbortSignal, which: (object: KubeObject) => boolean = () => true): Promise<number> {
    let left = 0;
    for (const kind of this.#kinds.values()) {
      for (const object of kind.store.by(OWNER_INDEX, owner.uid)) {
        if (!this.#isChild(object, owner) || !which(object)) continue;
        if (object.metadata.deletionTimestamp === undefined) await this.#delete(kind, object, signal);
        if (kind.store.has(keyOf(object.metadata))) left += 1;
      }
    }
    return left;
  }

  async #ensure(owner: Owner, desired: Desired, signal: AbortSignal): Promise<boolean> {
    const kind = this.#kinds.get(desired.kind);
    if (kind === undefined) throw new Error(`${desired.kind} is not among the kinds of children`);
    const asked = `${owner.uid}.${digest([desired, owner.reference])}`;
    const wish = this.#wish(owner, desired, asked, kind.resource.namespaced);
    const live = kind.store.get(keyOf(desired.metadata));
    if (live !== undefined) return this.#update(kind, owner, live, wish, asked, signal);
    try {
      const made = await this.#apply(kind, { ...wish, metadata: { ...wish.metadata, resourceVersion: ABSENT } }, signal);
      await this.#settle(kind, made, wish, asked, signal);
      return true;
    } catch (error) {
      if (!isKubeError(error, 'Conflict')) throw error;
      const found = await this.#options.client.get(kind.resource, desired.metadata, { signal });
      return this.#update(kind, owner, found, wish, asked, signal);
    }
  }

  async #update(
    kind: AnyChildKind,
    owner: Owner,
    live: KubeObject,
    wish: KubeObject,
    asked: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (this.#verified.get(live) === asked) return false;
    if (ownerUidOf(live, this.#options.annotation) !== owner.uid) return this.#adopt(kind, owner, live, wish, asked, signal);
    // Gone soon; its disappearance wakes the owner, which then makes a new one.
    if (live.metadata.deletionTimestamp !== undefined) return false;
    if (this.#isAsAsked(kind, live, wish, asked)) {
      this.#verified.set(live, asked);
      return false;
    }
    await kind.beforeApply?.(live, wish, { client: this.#options.client, signal });
    const { uid } = live.metadata;
    try {
      const answer = await this.#apply(kind, { ...wish, metadata: { ...wish.metadata, ...(uid !== undefined && { uid }) } }, signal);
      await this.#settle(kind, answer, wish, asked, signal);
    } catch (error) {
      if (isOtherObject(error)) kind.store.removed(keyOf(live.metadata), uid ?? '');
      else if (kind.recreate === true && isKubeError(error, 'Invalid')) await this.#delete(kind, live, signal);
      else throw error;
      // Once: whoever is faster than us twice has its turn in the next reconcile.
      const made = await this.#apply(kind, { ...wish, metadata: { ...wish.metadata, resourceVersion: ABSENT } }, signal);
      await this.#settle(kind, made, wish, asked, signal);
    }
    return true;
  }

  /** Takes over what a backup brought back; anything else of that name is a conflict. */
  async #adopt(kind: AnyChildKind, owner: Owner, seen: KubeObject, wish: KubeObject, asked: string, signal: AbortSignal): Promise<boolean> {
    const { client, annotation, fieldManager, lives = () => true } = this.#options;
    if (!isOrphan(seen, wish, annotation, lives)) throw new NameConflict(seen);
    // The stores do not have all of it.
    const found = await client.get(kind.resource, seen.metadata, { signal });
    if (!isOrphan(found, wish, annotation, lives)) throw new NameConflict(found);
    const live = await client.jsonPatch(kind.resource, found.metadata, takeover(found, fieldManager), { fieldManager, signal });
    await kind.beforeApply?.(live, wish, { client, signal });
    const { uid } = live.metadata;
    const answer = await this.#apply(kind, { ...wish, metadata: { ...wish.metadata, ...(uid !== undefined && { uid }) } }, signal);
    await this.#settle(kind, answer, wish, asked, signal);
    this.#options.onAdopted?.(owner, answer);
    return true;
  }

  /** A reference proves it within the namespace of the owner; the annotation may have been copied along with the rest of the object. */
  #isChild(object: KubeObject, owner: Owner): boolean {
    if (controllerOf(object)?.uid === owner.uid) return owner.namespace === undefined || object.metadata.namespace === owner.namespace;
    return this.#options.canBe?.(object, owner) ?? true;
  }

  #wish(owner: Owner, desired: Desired, asked: string, namespaced: boolean): KubeObject {
    const { metadata } = desired;
    // A reference must not cross namespaces, nor lead from a cluster-scoped object to a namespaced owner.
    const referable = owner.namespace === undefined || (namespaced && owner.namespace === metadata.namespace);
    return {
      ...desired,
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, [this.#options.annotation]: asked },
        ...(referable && { ownerReferences: [owner.reference] }),
      },
    };
  }

  #isAsAsked(kind: AnyChildKind, live: KubeObject, wish: KubeObject, asked: string): boolean {
    if (covers(live, wish)) return !hasExtras(kind, live, wish);
    const normalized = this.#normalized.get(live.metadata.uid ?? '');
    return normalized?.asked === asked && normalized.answered === digest(project(live, wish)) && !hasExtras(kind, live, wish);
  }

  async #apply(kind: AnyChildKind, object: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const { client, fieldManager } = this.#options;
    return client.apply(kind.resource, object, { fieldManager, signal });
  }

  /** What to do with the answer to an apply. */
  async #settle(kind: AnyChildKind, answer: KubeObject, wish: KubeObject, asked: string, signal: AbortSignal): Promise<void> {
    const { client, fieldManager } = this.#options;
    let live = answer;
    if (hasExtras(kind, live, wish)) {
      // Apply cannot take away what others own; replacing the member can.
      const patch = replacement(kind.exact ?? [], live, wish);
      live = await client.jsonPatch(kind.resource, live.metadata, patch, { fieldManager, signal });
    }
    const uid = live.metadata.uid ?? '';
    if (covers(live, wish)) this.#normalized.delete(uid);
    else this.#normalized.set(uid, { asked, answered: digest(project(live, wish)) });
    this.#verified.set(live, asked);
    kind.store.written(live);
  }

  /** Deletes the children of an owner that are not `wanted`. Resolves with how many there were. */
  async prune(owner: Owner, wanted: readonly Desired[], signal: AbortSignal): Promise<number> {
    const kept = new Set(wanted.map(({ kind, metadata }) => `${kind}/${keyOf(metadata)}`));
    const unwanted: (readonly [AnyChildKind, KubeObject])[] = [];
    for (const kind of this.#kinds.values()) {
      for (const object of kind.store.by(OWNER_INDEX, owner.uid)) {
        if (kept.has(`${kind.resource.kind}/${keyOf(object.metadata)}`) || !this.#isChild(object, owner)) continue;
        if (object.metadata.deletionTimestamp !== undefined || kind.mayPrune?.(object) === false) continue;
        unwanted.push([kind, object]);
      }
    }
    await Promise.all(unwanted.map(([kind, object]) => this.#delete(kind, object, signal)));
    return unwanted.length;
  }

  async #delete({ resource, store }: AnyChildKind, { metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    const key: Key = keyOf(metadata);
    try {
      const left = await this.#options.client.delete(resource, metadata, { uid: metadata.uid, signal });
      if (left !== undefined) store.written(left);
      else store.removed(key, metadata.uid ?? '');
    } catch (error) {
      // Gone already, or another object has taken the name: either way this one is no more.
      if (!isKubeError(error, 'NotFound', 'Conflict')) throw error;
      store.removed(key, metadata.uid ?? '');
    }
  }
}

const member = (object: KubeObject, name: string): unknown => (object as unknown as Readonly<Record<string, unknown>>)[name];

const hasExtras = (kind: AnyChildKind, live: KubeObject, wish: KubeObject): boolean =>
  (kind.exact ?? []).some((name) => !covers(member(wish, name), member(live, name), name));

function replacement(exact: readonly string[], live: KubeObject, wish: KubeObject): JSONPatch {
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: live.metadata.resourceVersion },
    ...exact.map((name) => {
      const value = member(wish, name);
      return value === undefined ? ({ op: 'remove', path: `/${name}` } as const) : ({ op: 'add', path: `/${name}`, value } as const);
    }),
  ];
}
