import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lock } from '../lock.ts';
import { SLOTS } from './addresses.ts';
import { gone, identify, isAlive, signal } from './process.ts';
import type { ProcessIdentity } from './process.ts';

/** What is written about a cluster in its folder, enough for any later process to find, use and clear it. */
export interface InstanceState {
  /** Unique on this machine: `<name>-<six hex digits>`. */
  readonly id: string;
  readonly name: string;
  /** Number of its addresses, for clusters that have a node. */
  readonly slot?: number;
  /** The process whose end is the cluster's end; absent when the cluster was started to stay. */
  readonly owner?: ProcessIdentity;
  readonly processes: Readonly<Record<string, ProcessIdentity>>;
}

/** Clears what a cluster with a node leaves outside its folder. */
export type ClearOutside = (state: InstanceState) => Promise<void>;

/** The folder of one cluster and the record in it. */
export class Instance {
  readonly folder: string;
  #state: InstanceState;

  constructor(folder: string, state: InstanceState) {
    this.folder = folder;
    this.#state = state;
  }

  get state(): InstanceState {
    return this.#state;
  }

  addProcess(name: string, process: ProcessIdentity): void {
    this.#write({ ...this.#state, processes: { ...this.#state.processes, [name]: process } });
  }

  /** From now on the cluster outlives this process. */
  disown(): void {
    const { owner: _, ...rest } = this.#state;
    this.#write(rest);
  }

  #write(state: InstanceState): void {
    this.#state = state;
    writeState(this.folder, state);
  }
}

/**
 * Where the clusters of this user live. Root's have disks of containers in them and stay off /tmp, which may be small or in memory;
 * others' are below /tmp itself, since the path of a Unix socket may have 104 bytes at most and some systems have long ones for
 * temporary files.
 */
function instancesFolder(): string {
  const user = process.getuid?.() ?? 0;
  return user === 0 ? '/var/lib/mcp-fleet-operator/clusters' : `/tmp/mcp-fleet-operator-${user}`;
}

/** Clears the remains of runs that were killed, then makes a folder (and, with `node`, takes free addresses) for a new cluster. */
export async function claimInstance(name: string, node: boolean, clearOutside: ClearOutside): Promise<Instance> {
  checkName(name);
  await using _ = await lock('clusters');
  const live = await clearStale(clearOutside);
  const id = `${name}-${randomBytes(3).toString('hex')}`;
  const owner = identify(process.pid);
  const state: InstanceState = { id, name, processes: {}, ...(owner ? { owner } : {}), ...(node ? { slot: freeSlot(live) } : {}) };
  const folder = join(instancesFolder(), id);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  writeState(folder, state);
  return new Instance(folder, state);
}

/** The name becomes a node's name and part of paths. @throws Error when it is none for that */
export function checkName(name: string): void {
  if (!/^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$/.test(name)) {
    throw new Error(`${JSON.stringify(name)} is no name for a cluster: lower case letters, digits and dashes, at most 30`);
  }
}

/** A cluster that another process started; undefined when its folder is gone. */
export function openInstance(folder: string): Instance | undefined {
  const path = statePath(folder);
  return existsSync(path) ? new Instance(folder, JSON.parse(readFileSync(path, 'utf8')) as InstanceState) : undefined;
}

/** Ends all processes of a cluster and removes everything it left. Does nothing when that was done, even if others use its addresses by now. */
export async function removeInstance({ folder }: Instance, clearOutside: ClearOutside): Promise<void> {
  await using _ = await lock('clusters');
  const state = await readState(folder);
  if (state !== undefined) {
    await clear(folder, state, clearOutside);
  }
}

export function isLive(state: InstanceState): boolean {
  return state.owner === undefined ? Object.values(state.processes).some(isAlive) : isAlive(state.owner);
}

/** Others can write to /tmp: a folder that somebody else made there is not trusted. */
async function createInstancesFolder(): Promise<string> {
  const root = instancesFolder();
  await mkdir(root, { recursive: true, mode: 0o700 });
  const info = await lstat(root);
  if (!info.isDirectory() || info.uid !== (process.getuid?.() ?? info.uid)) {
    throw new Error(`${root} belongs to somebody else`);
  }
  return root;
}

async function clearStale(clearOutside: ClearOutside): Promise<InstanceState[]> {
  const root = await createInstancesFolder();
  const live: InstanceState[] = [];
  for (const name of await readdir(root)) {
    const folder = join(root, name);
    const state = await readState(folder);
    if (state !== undefined && isLive(state)) {
      live.push(state);
    } else {
      await clear(folder, state, clearOutside);
    }
  }
  return live;
}

async function clear(folder: string, state: InstanceState | undefined, clearOutside: ClearOutside): Promise<void> {
  for (const identity of Object.values(state?.processes ?? {})) {
    signal(identity, 'SIGKILL');
  }
  for (const identity of Object.values(state?.processes ?? {})) {
    await gone(identity, 10_000);
  }
  if (state !== undefined) {
    await clearOutside(state);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

function freeSlot(live: readonly InstanceState[]): number {
  const taken = new Set(live.map((state) => state.slot));
  const slot = Array.from({ length: SLOTS }, (_, index) => index).find((index) => !taken.has(index));
  if (slot === undefined) {
    throw new Error(`All ${SLOTS} addresses for clusters are taken by ${live.map((state) => state.id).join(', ')}`);
  }
  return slot;
}

function statePath(folder: string): string {
  return join(folder, 'state.json');
}

async function readState(folder: string): Promise<InstanceState | undefined> {
  const text = await readFile(statePath(folder), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as InstanceState);
}

/** At once, so that components which start side by side do not overwrite each other's records. */
function writeState(folder: string, state: InstanceState): void {
  const unfinished = `${statePath(folder)}.unfinished`;
  writeFileSync(unfinished, JSON.stringify(state, undefined, 2));
  renameSync(unfinished, statePath(folder));
}
