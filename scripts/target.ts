import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { executable } from '../e2e/cluster/place.ts';
import type { Kubectl } from '../e2e/kubectl.ts';

/** The cluster that the kubeconfig names, as far as bringing an image there is concerned. */
export type Target =
  /** One of `make cluster-up`, on this machine. */
  | { readonly type: 'BuiltIn'; readonly name: string }
  | { readonly type: 'Kind'; readonly name: string }
  /** Pulls its images from a registry. */
  | { readonly type: 'Other'; readonly context: string };

/** @param names of the built-in clusters that run, by the URL of their API server */
export async function target(kubectl: Kubectl, names: ReadonlyMap<string, string>): Promise<Target> {
  const view = JSON.parse(await kubectl(['config', 'view', '--minify', '-o', 'json'])) as {
    'current-context': string;
    clusters: { cluster: { server: string } }[];
  };
  const context = view['current-context'];
  const name = names.get(view.clusters[0]?.cluster.server ?? '');
  if (name !== undefined) {
    return { type: 'BuiltIn', name };
  }
  return context.startsWith('kind-') && executable('kind') !== undefined
    ? { type: 'Kind', name: context.slice('kind-'.length) }
    : { type: 'Other', context };
}

export async function loadIntoKind(name: string, archive: string): Promise<void> {
  await promisify(execFile)('kind', ['load', 'image-archive', archive, '--name', name]);
}
