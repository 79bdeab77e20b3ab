import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../scripts/sources.ts';
import { MACHINE_ADDRESS } from './cluster/addresses.ts';
import { startCluster } from './cluster/cluster.ts';
import { find, load } from './cluster/named.ts';
import { kubectlFor } from './kubectl.ts';
import { loadImages, PYPI, registryFlags, runOperator, SUITE_IMAGES } from './operated.ts';
import { standingRegistry } from './registry/daemon.ts';

/** A cluster for working on the suites: it stays after the tests, so that the next run starts at once. */
export interface KeptCluster {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly auditLog: string;
  readonly npmUrl: string;
  readonly pypiUrl: string;
}

const NAME = 'e2e';
const LINK = join(ROOT, '.clusters', NAME);

/**
 * Finds or starts it. `make cluster-down NAME=e2e` ends it.
 *
 * @param deploy whether to build and deploy the operator of this checkout also where one runs
 */
export async function keptCluster(deploy: boolean, progress: (line: string) => void): Promise<KeptCluster> {
  const fresh = (await find(NAME))?.running !== true;
  if (fresh) {
    const cluster = await startCluster({ name: NAME, audit: true, metricsServer: true, detached: true, progress });
    await mkdir(dirname(LINK), { recursive: true });
    await rm(LINK, { force: true });
    await mkdir(dirname(LINK), { recursive: true });
    await symlink(cluster.folder, LINK);
  }
  const folder = await readlink(LINK);
  const registry = await standingRegistry(MACHINE_ADDRESS, join(folder, 'registry.json'), join(folder, 'registry.log'), PYPI);
  if (fresh || deploy) {
    const into = (archive: string) => load(NAME, archive);
    await loadImages(into, SUITE_IMAGES);
    await runOperator(await kubectlFor(join(folder, 'kubeconfig')), into, registryFlags(registry));
  }
  return { folder, kubeconfig: join(folder, 'kubeconfig'), auditLog: join(folder, 'logs/audit.log'), ...registry };
}
