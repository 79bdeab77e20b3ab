import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deployOperator, imageIdOf, NAMESPACE, OPERATOR } from '../scripts/installation.ts';
import { IMAGE_REPOSITORY } from '../scripts/programs.ts';
import { ROOT } from '../scripts/sources.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster/cluster.ts';
import { MACHINE_ADDRESS } from './cluster/addresses.ts';
import { clientsImage, pythonClientImage } from './images/clients.ts';
import { NODE_PUBLISHED, nodeImage } from './images/node.ts';
import { PYTHON_PUBLISHED, pythonImage } from './images/python.ts';
import {
  conformanceServerImage,
  EVERYTHING_PUBLISHED,
  everythingImage,
  faultyImage,
  KUBERNETES_MCP_SERVER_PUBLISHED,
  kubernetesMcpServerImage,
} from './images/servers.ts';
import { type Kubectl, kubectlFor } from './kubectl.ts';
import { type Registry, startRegistry } from './registry/registry.ts';
import { Witness } from './witness.ts';

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

/** References of the published images, as the examples and the operator's defaults name them. */
const IMAGES = [
  () => nodeImage(NODE_PUBLISHED),
  () => pythonImage(PYTHON_PUBLISHED),
  () => everythingImage(EVERYTHING_PUBLISHED),
  () => kubernetesMcpServerImage(KUBERNETES_MCP_SERVER_PUBLISHED),
];

/** What the suites run besides: the official clients, and the servers that the official conformance suite asks for. */
export const SUITE_IMAGES = [...IMAGES, () => conformanceServerImage(), () => clientsImage(), () => pythonClientImage()];

/** What the index offers. */
export const PYPI = ['duckduckgo-mcp-server==0.7.0'];

export async function operatedCluster(options: OperatedOptions = {}): Promise<OperatedCluster> {
  const { images = IMAGES, flags = [], registry: wantsRegistry = true, ...clusterOptions } = options;
  await operatorImage();
  const cluster = await startCluster(clusterOptions);
  let registry: Registry | undefined;
  let witness: Witness | undefined;
  const stop = async (): Promise<void> => {
    await witness?.[Symbol.asyncDispose]();
    await registry?.stop();
    await cluster.stop();
  };
  try {
    witness = await Witness.of(cluster.folder);
    await loadImages((archive) => cluster.loadImage(archive), images);
    if (wantsRegistry) registry = await startRegistry({ address: MACHINE_ADDRESS, pypi: PYPI });
    const kubectl = await kubectlFor(cluster.kubeconfigPath);
    await runOperator(kubectl, (archive) => cluster.loadImage(archive), [...registryFlags(registry), ...flags]);
    return { cluster, kubectl, registry, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await cluster.saveArtifacts(join(ROOT, 'e2e/.artifacts/setup'));
    await stop();
    throw error;
  }
}

/** Loads an archive into a cluster; returns the names of its images. */
export type Load = (archive: string) => Promise<string[]>;

/** What pods may use: the given images and the failing server's. */
export async function loadImages(load: Load, images: readonly (() => Promise<string>)[] = IMAGES): Promise<void> {
  for (const image of [...images, () => faultyImage()]) await load(await image());
}

/** Has the operator of this checkout run in a cluster; returns when both replicas do. */
export async function runOperator(kubectl: Kubectl, load: Load, flags: readonly string[]): Promise<void> {
  const archive = await operatorImage();
  const [image = IMAGE_REPOSITORY] = await load(archive);
  await deployOperator(kubectl, { image, imageId: await imageIdOf(archive), flags });
  await kubectl(['rollout', 'status', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--timeout=180s']);
}

export const registryFlags = (registry: Pick<Registry, 'npmUrl' | 'pypiUrl'> | undefined): readonly string[] =>
  registry === undefined ? [] : [`--npm-registry=${registry.npmUrl}`, `--pypi-index=${registry.pypiUrl}`];

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
