import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { builtIn, isBuiltIn } from './built-in.ts';
import { checkName } from './instance.ts';
import { kind, kindIsUsable } from './kind.ts';
import type { NamedCluster, Provider, UpOptions } from './provider.ts';

const CLUSTERS = join(import.meta.dirname, '..', '..', '.clusters');
const BUILT_IN = builtIn(folderOf);
const KIND = kind(folderOf);

/** Starts a cluster that stays, with kind where Docker runs, else on this machine's own. One that runs already is left as it is. */
export async function up(name: string, options: UpOptions): Promise<NamedCluster> {
  checkName(name);
  const existing = await find(name);
  if (existing?.running === true) {
    options.progress(`Cluster ${name} runs already`);
    return existing;
  }
  if (existing !== undefined) {
    await down(name);
  }
  const provider = !options.controlPlaneOnly && (await kindIsUsable()) ? KIND : BUILT_IN;
  await mkdir(CLUSTERS, { recursive: true });
  await provider.up(name, options);
  return provider.describe(name);
}

/** Loads a docker or OCI archive into a cluster of this checkout; returns the names of its images as far as they are known. */
export async function load(name: string, archive: string): Promise<string[]> {
  if (!existsSync(archive)) {
    throw new Error(`There is no archive ${archive}`);
  }
  return (await providerOf(name)).load(name, archive);
}

export async function shell(name: string): Promise<readonly [string, ...string[]]> {
  return (await providerOf(name)).shell(name);
}

/** @returns whether there was such a cluster */
export async function down(name: string): Promise<boolean> {
  checkName(name);
  if ((await find(name)) === undefined) {
    return false;
  }
  await (await providerOf(name)).down(name);
  return true;
}

/** Clusters of this checkout, running or not. */
export async function namedClusters(): Promise<NamedCluster[]> {
  const names = await readdir(CLUSTERS).catch(() => []);
  const clusters = await Promise.all(names.map(find));
  return clusters.filter((cluster) => cluster !== undefined).toSorted((a, b) => a.name.localeCompare(b.name));
}

/** One cluster of this checkout, running or not. */
export async function find(name: string): Promise<NamedCluster | undefined> {
  const folder = folderOf(name);
  if (await isBuiltIn(folder)) {
    return BUILT_IN.describe(name);
  }
  return existsSync(folder) ? KIND.describe(name) : undefined;
}

async function providerOf(name: string): Promise<Provider> {
  const cluster = await find(name);
  if (cluster === undefined) {
    throw new Error(`There is no cluster ${name}; make cluster-up NAME=${name} starts it`);
  }
  return cluster.provider === 'kind' ? KIND : BUILT_IN;
}

function folderOf(name: string): string {
  return join(CLUSTERS, name);
}
