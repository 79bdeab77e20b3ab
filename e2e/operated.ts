import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deployOperator, imageIdOf, NAMESPACE, OPERATOR } from '../scripts/installation.ts';
import { IMAGE_REPOSITORY } from '../scripts/programs.ts';
import { ROOT } from '../scripts/sources.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster/cluster.ts';
import { nodeImage } from './images/node.ts';
import { pythonImage } from './images/python.ts';
import { everythingImage, faultyImage, kubernetesMcpServerImage } from './images/servers.ts';
import { type Kubectl, kubectlFor } from './kubectl.ts';
import { type Registry, startRegistry } from './registry/registry.ts';

export interface OperatedOptions extends ClusterOptions {
  /** Which images pods may use beside the failing server's. Default: all of `e2e/images`. */
  readonly images?: readonly (() => Promise<string>)[];
  /** Further flags of the operator. */
  readonly flags?: readonly string[];
  /** Whether pods can install packages. Default true. */
  readonly registry?: boolean;
}

/** A cluster in which the operator runs as `make deploy` leaves it: its real image, two replicas, its own ServiceAccount. */
export interface OperatedCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly kubectl: Kubectl;
  readonly registry: Registry | undefined;
}

/** Address of this machine that pods reach, on the bridge of all clusters. */
const MACHINE = '198.18.0.1';

const IMAGES = [() => nodeImage(), () => pythonImage(), () => everythingImage(), () => kubernetesMcpServerImage()];

export async function operatedCluster(options: OperatedOptions = {}): Promise<OperatedCluster> {
  const { images = IMAGES, flags = [], registry: wantsRegistry = true, ...clusterOptions } = options;
  const archive = await operatorImage();
  const cluster = await startCluster(clusterOptions);
  let registry: Registry | undefined;
  const stop = async (): Promise<void> => {
    await registry?.stop();
    await cluster.stop();
  };
  try {
    for (const image of [...images, () => faultyImage()]) await cluster.loadImage(await image());
    const [operator = IMAGE_REPOSITORY] = await cluster.loadImage(archive);
    if (wantsRegistry) registry = await startRegistry({ address: MACHINE, pypi: ['duckduckgo-mcp-server==0.7.0'] });
    const registries = registry === undefined ? [] : [`--npm-registry=${registry.npmUrl}`, `--pypi-index=${registry.pypiUrl}`];
    const kubectl = await kubectlFor(cluster.kubeconfigPath);
    await deployOperator(kubectl, { image: operator, imageId: await imageIdOf(archive), flags: [...registries, ...flags] });
    await kubectl(['rollout', 'status', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--timeout=120s']);
    return { cluster, kubectl, registry, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await cluster.saveArtifacts(join(ROOT, 'e2e/.artifacts/setup'));
    await stop();
    throw error;
  }
}

/** The image of `make image`, built once a process: the sources do not change under a test run. */
let built: Promise<string> | undefined;

function operatorImage(): Promise<string> {
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  const archive = join(ROOT, 'dist/image.tar');
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts/image.ts')], { cwd: ROOT });
  if (!existsSync(archive)) throw new Error('make image left no dist/image.tar');
  return archive;
}
