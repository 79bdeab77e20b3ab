import { connect } from 'node:net';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { serverPort } from '../../../api/transport.ts';
import type { Ambient } from '../../../mcp/policy/bundle.ts';
import type { Key } from '../../kube/object.ts';
import type { VerifierClock } from './verifier.ts';

/** Whether a connection to a port of a pod comes about. Never rejects. */
export type Reach = (address: string, port: number) => Promise<boolean>;

const TIMEOUT_MS = 2_000;

/** From here. What a NetworkPolicy forbids is refused, or dropped without a word. */
export const tcpReach: Reach = (host, port) => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.setTimeout(TIMEOUT_MS, () => resolve(false));
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
};

/** What decides for a server whether its guard keeps anybody from anything. */
export interface Restrictions {
  /** How many policies select it. */
  readonly policies: number;
  readonly ambient: Ambient;
}

/**
 * The port behind a guard that nobody may reach but the guard; `undefined` where there is none, or where whoever reaches it gets nothing that the guard
 * would have kept from them. A server that listens on loopback or on no port cannot be reached by others.
 */
export function forbiddenPort({ spec }: MCPServer, { policies, ambient }: Restrictions): number | undefined {
  const { guard, container, package: published, transport, authentication, policy } = spec;
  if (!guard.enabled || (container === undefined && published === undefined) || transport.bind === 'Loopback') return undefined;
  const restricts = policies > 0 || policy.required || ambient !== 'Allow' || authentication.type === 'Guard';
  return restricts ? serverPort(transport) : undefined;
}

export interface BypassTarget {
  readonly port: number;
  /** Of pods that are ready: others may listen on nothing yet. */
  readonly addresses: readonly string[];
  /** What status says already, from an earlier process too. */
  readonly told: boolean;
}

export interface BypassOptions {
  readonly reach: Reach;
  readonly clock: VerifierClock;
  readonly random: () => number;
  /** What is known of a server has changed. */
  readonly onChange: (key: Key) => void;
}

/** A first look follows soon, since somebody is just setting the server up; where status tells already, a new process takes its time. */
const FIRST = 2_000;
const CATCH_UP = 60_000;
const INTERVAL = 3_600_000;
/** What contradicts what is known is looked at again after this. */
const CONFIRM = 30_000;
/** Connections at a time, each for 2 s at most. */
const CONCURRENCY = 16;

interface Entry {
  target: BypassTarget;
  open: boolean | undefined;
  doubted: boolean;
  cancel: () => void;
}

/**
 * Tries now and then whether a server can be reached around its guard, outside of the reconcile workers.
 *
 * Guarantees: one short connection per server and hour, to one of its pods; never more than 16 at a time; what is known changes when two tries in a row
 * contradict it; what status tells holds until then, so that a restart changes nothing.
 */
export class Bypasses {
  readonly #options: BypassOptions;
  readonly #entries = new Map<Key, Entry>();
  readonly #waiting = new Set<Key>();
  #running = 0;

  constructor(options: BypassOptions) {
    this.#options = options;
  }

  /** The port at which the server answers around its guard, as far as is known; `undefined`: at none. */
  openPort(key: Key): number | undefined {
    const entry = this.#entries.get(key);
    return entry?.open === true ? entry.target.port : undefined;
  }

  /** Begins or goes on trying. Cheap when nothing changed. */
  track(key: Key, target: BypassTarget): void {
    const known = this.#entries.get(key);
    if (known?.target.port === target.port) {
      known.target = target;
      return;
    }
    this.forget(key);
    const { random } = this.#options;
    const entry: Entry = { target, open: target.told ? true : undefined, doubted: false, cancel: () => {} };
    this.#entries.set(key, entry);
    this.#schedule(key, entry, target.told ? random() * CATCH_UP : FIRST);
  }

  forget(key: Key): void {
    this.#entries.get(key)?.cancel();
    this.#entries.delete(key);
    this.#waiting.delete(key);
  }

  stop(): void {
    for (const key of Array.from(this.#entries.keys())) this.forget(key);
  }

  #schedule(key: Key, entry: Entry, delay: number): void {
    entry.cancel = this.#options.clock.after(delay, () => {
      this.#waiting.add(key);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#running < CONCURRENCY) {
      const [key] = this.#waiting;
      if (key === undefined) return;
      this.#waiting.delete(key);
      const entry = this.#entries.get(key);
      if (entry !== undefined) void this.#try(key, entry);
    }
  }

  async #try(key: Key, entry: Entry): Promise<void> {
    const { reach, random } = this.#options;
    const { addresses, port } = entry.target;
    const address = addresses[Math.floor(random() * addresses.length)];
    if (address === undefined) {
      // No pod is ready: nothing is learned.
      this.#schedule(key, entry, CONFIRM);
      return;
    }
    this.#running += 1;
    const open = await reach(address, port);
    this.#running -= 1;
    if (this.#entries.get(key) === entry) this.#settle(key, entry, open);
    this.#dispatch();
  }

  #settle(key: Key, entry: Entry, open: boolean): void {
    const contradicts = entry.open !== undefined && entry.open !== open;
    if (contradicts && !entry.doubted) {
      entry.doubted = true;
      this.#schedule(key, entry, CONFIRM);
      return;
    }
    const changed = entry.open !== open;
    entry.open = open;
    entry.doubted = false;
    this.#schedule(key, entry, INTERVAL * (0.9 + 0.2 * this.#options.random()));
    if (changed) this.#options.onChange(key);
  }
}
