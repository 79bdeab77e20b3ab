import { load, namedClusters } from '../e2e/cluster/named.ts';
import { executable } from '../e2e/cluster/place.ts';
import { run } from '../e2e/cluster/run.ts';
import type { Kubectl } from '../e2e/kubectl.ts';

/** The cluster that the kubeconfig names, as far as bringing an image there is concerned. */
export type Target =
  /** One of `make cluster-up`. */
  | { readonly type: 'Ours'; readonly name: string }
  /** Somebody else's, of kind on this machine. */
  | { readonly type: 'Kind'; readonly name: string }
  /** Pulls its images from a registry. */
  | { readonly type: 'Other'; readonly context: string };

export async function target(kubectl: Kubectl): Promise<Target> {
  const view = JSON.parse(await kubectl(['config', 'view', '--minify', '-o', 'json'])) as {
    'current-context': string;
    clusters: { cluster: { server: string } }[];
  };
  const context = view['current-context'];
  const server = view.clusters[0]?.cluster.server;
  const ours = (await namedClusters()).find(({ running, apiServerUrl }) => running && apiServerUrl === server);
  if (ours !== undefined) {
    return { type: 'Ours', name: ours.name };
  }
  return context.startsWith('kind-') && executable('kind') !== undefined
    ? { type: 'Kind', name: context.slice('kind-'.length) }
    : { type: 'Other', context };
}

/** Brings an archive into the cluster. False where the cluster pulls from registries alone. */
export async function bring(archive: string, where: Target): Promise<boolean> {
  switch (where.type) {
    case 'Ours':
      await load(where.name, archive);
      return true;
    case 'Kind':
      await run(['kind', 'load', 'image-archive', archive, '--name', where.name]);
      return true;
    case 'Other':
      return false;
  }
}
