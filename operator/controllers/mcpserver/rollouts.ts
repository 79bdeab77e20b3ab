import type { Key } from '../../kube/object.ts';

/** How long changes of references are gathered before pods are replaced: a deployment tool writes several objects one after the other. */
const GATHER = 10_000;
/** Servers whose pods are replaced at once for such a reason. A restored backup would otherwise restart the whole fleet. */
const AT_ONCE = 5;
/** A rollout that takes longer has had its chance; the next server need not wait for it. */
const LONGEST = 600_000;

export interface DigestInput {
  /** Digest of what the references hold now. */
  readonly current: string | undefined;
  /** What the pod template has; `undefined` also where there is no Deployment yet. */
  readonly live: string | undefined;
  /** There is a Deployment. */
  readonly exists: boolean;
  /** The spec changed as well, so that pods are replaced anyway. */
  readonly specChanged: boolean;
  readonly ignore: boolean;
  /** Every pod runs the newest template. */
  readonly rolledOut: boolean;
}

export interface DigestDecision {
  /** What the pod template shall say. */
  readonly digest: string | undefined;
  /** Milliseconds until it is worth asking again; `undefined`: nothing is pending. */
  readonly after: number | undefined;
  /** Pods are replaced because of a reference. */
  readonly restarts: boolean;
}

/**
 * Decides when changed references replace the pods of a server.
 *
 * Guarantees: changes are gathered for 10 s, counted from the last one; never more than 5 servers at a time; a spec that changes as well takes everything
 * along at once. After a restart of the process gathering starts over: nothing is lost, since the live template says what it was made from.
 */
export class ReferenceRollouts {
  readonly #now: () => number;
  /** Changes that wait: the digest, and since when. */
  readonly #pending = new Map<Key, { readonly digest: string | undefined; readonly since: number }>();
  /** Servers whose pods are being replaced, since when. */
  readonly #rolling = new Map<Key, number>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  decide(key: Key, { current, live, exists, specChanged, ignore, rolledOut }: DigestInput): DigestDecision {
    if (rolledOut && live === current) this.#rolling.delete(key);
    if (!exists) return this.#settled(key, current);
    if (live === current) return this.#settled(key, live);
    // Before the restart that a changed spec causes anyway, a policy of ignoring has nothing to protect.
    if (specChanged) return this.#settled(key, ignore && live !== undefined ? live : current);
    if (ignore) return this.#settled(key, live);

    const now = this.#now();
    const pending = this.#pending.get(key);
    if (pending?.digest !== current || pending === undefined) {
      this.#pending.set(key, { digest: current, since: now });
      return { digest: live, after: GATHER, restarts: false };
    }
    const left = pending.since + GATHER - now;
    if (left > 0) return { digest: live, after: left, restarts: false };
    if (!this.#rolling.has(key) && this.#countRolling(now) >= AT_ONCE) return { digest: live, after: 1_000, restarts: false };
    this.#pending.delete(key);
    this.#rolling.set(key, now);
    return { digest: current, after: undefined, restarts: true };
  }

  forget(key: Key): void {
    this.#pending.delete(key);
    this.#rolling.delete(key);
  }

  #settled(key: Key, digest: string | undefined): DigestDecision {
    this.#pending.delete(key);
    return { digest, after: undefined, restarts: false };
  }

  #countRolling(now: number): number {
    for (const [key, since] of this.#rolling) if (now - since > LONGEST) this.#rolling.delete(key);
    return this.#rolling.size;
  }
}
