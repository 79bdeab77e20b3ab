import { Annotation, FIELD_MANAGER } from '../../../api/group.ts';
import type { JsonObject } from '../../../mcp/jsonrpc.ts';
import type { Client } from '../../kube/client.ts';
import { isKubeError } from '../../kube/errors.ts';
import type { Key } from '../../kube/object.ts';
import { Pods } from '../../kube/resources.ts';
import { Slots } from '../../runtime/slots.ts';
import { type GuardPod, type GuardReader, PODS_AT_ONCE } from './guardreports.ts';
import { rejectionOf } from './guardresult.ts';
import type { VerifierClock } from './verifier.ts';

/** What the guards of one server should enforce. */
export interface Distributed {
  readonly digest: string;
  /** Digest of the issuers' keys beside the bundle. */
  readonly keysDigest: string;
  /** Whether the ConfigMap has it: until then guards are behind, but no kubelet can do anything about it. */
  readonly written: boolean;
  readonly pods: readonly GuardPod[];
}

/** How far the guards of a server are. */
export interface DistributionState {
  readonly digest: string;
  readonly total: number;
  /** Those that reported this digest. */
  readonly current: number;
  /** Names of the pods whose guards are behind, sorted. */
  readonly behind: readonly string[];
  /** Whether some have been behind for 30 s. */
  readonly late: boolean;
  /** Why a guard refused the bundle, in its words; absent: none did. */
  readonly refused: string | undefined;
}

export interface DistributionOptions {
  readonly client: Client;
  readonly read: GuardReader;
  readonly clock: VerifierClock;
  /** Something changed for this server. */
  readonly onChange: (key: Key) => void;
  readonly onError: (key: Key, error: unknown) => void;
  /** Servers that are asked at a time. Default 64. */
  readonly concurrency?: number;
}

/** When the kubelets of pods that are behind are told to look, milliseconds after the ConfigMap changed. A patch can get lost between two syncs. */
const NUDGES = [0, 2_000, 10_000];
/** How long a guard may be behind before it is worth a condition: the kubelet's own period is a minute, but nobody should wait for it. */
export const LATE_MS = 30_000;

interface Entry {
  wanted: Distributed;
  since: number;
  /** When the ConfigMap was first seen to have it. */
  written: number | undefined;
  nudges: number;
  /** Guards that have reported the digest, by uid of the pod. They are not asked again: a guard never goes back. */
  readonly current: Set<string>;
  state: DistributionState | undefined;
  cancelTimer: (() => void) | undefined;
  running: AbortController | undefined;
}

/**
 * Sees to it that guards enforce what the ConfigMaps of their servers say, without restarting a pod.
 *
 * A kubelet looks at a ConfigMap volume once a minute or so, but at once when its pod changes; so the pods whose guards report another digest get an
 * annotation. It is written to `pods/status`, which does not let the operator change anything that runs.
 *
 * Guarantees: pods whose guards are current are not written to; a server whose guards all are is left alone until its bundle or pods change;
 * state lives in memory alone, so a new process asks each guard once.
 */
export class Distribution {
  readonly #options: DistributionOptions;
  readonly #entries = new Map<Key, Entry>();
  readonly #queue = new Set<Key>();
  #running = 0;

  constructor(options: DistributionOptions) {
    this.#options = options;
  }

  /** The last known state of what is wanted now; `undefined` before the guards were asked. */
  state(key: Key): DistributionState | undefined {
    return this.#entries.get(key)?.state;
  }

  /** Begins or goes on. Cheap when nothing changed. */
  track(key: Key, wanted: Distributed): void {
    const known = this.#entries.get(key);
    const sameDigest = known?.wanted.digest === wanted.digest && known.wanted.keysDigest === wanted.keysDigest;
    if (sameDigest && samePods(known.wanted.pods, wanted.pods)) {
      if (known.written !== undefined || !wanted.written) return;
      known.written = this.#now();
      known.cancelTimer?.();
      if (known.running === undefined && known.current.size < wanted.pods.length) this.#ask(key);
      return;
    }
    known?.cancelTimer?.();
    known?.running?.abort(new Error('the bundle or the pods changed'));
    const uids = new Set(wanted.pods.map(({ uid }) => uid));
    const entry: Entry = {
      wanted,
      since: this.#now(),
      written: wanted.written ? this.#now() : undefined,
      nudges: 0,
      current: new Set(sameDigest ? [...known.current].filter((uid) => uids.has(uid)) : []),
      state: undefined,
      cancelTimer: undefined,
      running: undefined,
    };
    this.#entries.set(key, entry);
    // Pods that come and go without one that must be asked need no reading.
    entry.state = sameDigest || wanted.pods.length === 0 ? this.#stateOf(entry, undefined) : undefined;
    if (entry.current.size < wanted.pods.length) this.#ask(key);
  }

  forget(key: Key): void {
    const entry = this.#entries.get(key);
    entry?.cancelTimer?.();
    entry?.running?.abort(new Error('the server is gone'));
    this.#entries.delete(key);
    this.#queue.delete(key);
  }

  stop(): void {
    for (const key of Array.from(this.#entries.keys())) this.forget(key);
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }

  #ask(key: Key): void {
    this.#queue.add(key);
    while (this.#running < (this.#options.concurrency ?? 64)) {
      const [next] = this.#queue;
      if (next === undefined) return;
      this.#queue.delete(next);
      const entry = this.#entries.get(next);
      if (entry !== undefined && entry.running === undefined) void this.#round(next, entry);
    }
  }

  async #round(key: Key, entry: Entry): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    entry.running = controller;
    this.#running += 1;
    try {
      const refused = await this.#read(entry, signal);
      this.#settle(key, entry, refused);
    } catch (error) {
      if (!signal.aborted) {
        this.#options.onError(key, error);
        this.#schedule(key, entry);
      }
    } finally {
      if (entry.running === controller) entry.running = undefined;
      this.#running -= 1;
      const [next] = this.#queue;
      if (next !== undefined) this.#ask(next);
    }
  }

  /** Asks the guards that are not current, and tells the kubelets of those that are behind, each as soon as it has answered. Resolves with why one refuses. */
  async #read(entry: Entry, signal: AbortSignal): Promise<string | undefined> {
    const { wanted, current } = entry;
    const due = this.#now() - (entry.written ?? Infinity) >= (NUDGES[entry.nudges] ?? Infinity);
    const refusals: string[] = [];
    const slots = new Slots(PODS_AT_ONCE);
    let nudged = false;
    const one = async (pod: GuardPod): Promise<void> => {
      const page = await this.#status(pod, slots, signal);
      if (page === undefined) return;
      if (page['policyDigest'] === wanted.digest && page['keysDigest'] === wanted.keysDigest) {
        current.add(pod.uid);
        return;
      }
      const rejection = rejectionOf(page);
      if (rejection !== undefined) refusals.push(`pod ${pod.name}: ${rejection}`);
      if (!due) return;
      nudged = true;
      await this.#nudge(pod, entry, signal);
    };
    await Promise.all(wanted.pods.filter(({ uid }) => !current.has(uid)).map(one));
    if (nudged) entry.nudges += 1;
    return refusals.toSorted()[0];
  }

  /** `undefined` where nobody answers: it starts, ends, or cannot be reached. Not current then, and nothing that a kubelet could mend. */
  async #status(pod: GuardPod, slots: Slots, signal: AbortSignal): Promise<JsonObject | undefined> {
    const release = await slots.take(signal);
    try {
      return await this.#options.read(pod, '/status', signal);
    } catch {
      signal.throwIfAborted();
      return undefined;
    } finally {
      release();
    }
  }

  async #nudge({ namespace, name, uid }: GuardPod, { wanted, nudges }: Entry, signal: AbortSignal): Promise<void> {
    const digests = `${wanted.digest} ${wanted.keysDigest}`;
    const value = nudges === 0 ? digests : `${digests} (${nudges + 1})`;
    const patch = { metadata: { uid, annotations: { [Annotation.PolicyDigest]: value } } };
    try {
      await this.#options.client.mergePatch(Pods, { namespace, name }, patch, {
        subresource: 'status',
        fieldManager: FIELD_MANAGER,
        signal,
      });
    } catch (error) {
      // Gone, or another pod of that name by now.
      if (!isKubeError(error, 'NotFound', 'Conflict', 'Invalid')) throw error;
    }
  }

  #settle(key: Key, entry: Entry, refused: string | undefined): void {
    entry.running = undefined;
    const state = this.#stateOf(entry, refused);
    const changed = JSON.stringify(state) !== JSON.stringify(entry.state);
    entry.state = state;
    if (state.current < state.total) this.#schedule(key, entry);
    if (changed) this.#options.onChange(key);
  }

  #stateOf({ wanted, current, since }: Entry, refused: string | undefined): DistributionState {
    const behind = wanted.pods.filter(({ uid }) => !current.has(uid)).map(({ name }) => name);
    const late = behind.length > 0 && this.#now() - since >= LATE_MS;
    return { digest: wanted.digest, total: wanted.pods.length, current: wanted.pods.length - behind.length, behind, late, refused };
  }

  #schedule(key: Key, entry: Entry): void {
    const elapsed = this.#now() - entry.since;
    const delay = elapsed < 3_000 ? 200 : elapsed < LATE_MS ? 1_000 : 15_000;
    entry.cancelTimer = this.#options.clock.after(delay, () => {
      entry.cancelTimer = undefined;
      if (this.#entries.get(key) === entry) this.#ask(key);
    });
  }
}

const samePods = (a: readonly GuardPod[], b: readonly GuardPod[]): boolean =>
  a.length === b.length && a.every(({ uid, address }, index) => uid === b[index]?.uid && address === b[index]?.address);
