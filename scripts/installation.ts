import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { established, type Kubectl } from '../e2e/kubectl.ts';
import { ROOT } from './sources.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Deployment extends Manifest {
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly { readonly image: string; readonly args?: readonly string[] }[] };
    };
  };
}

/** What differs from the committed manifest. */
export interface Deviations {
  /** Default: the released image. */
  readonly image?: string;
  /** Content of the image: a new one under the same tag rolls the pods, too. */
  readonly imageId?: string;
  /** Further flags of the operator. */
  readonly flags?: readonly string[];
}

const DEFINITION = 'CustomResourceDefinition';
export const NAMESPACE = 'mcp-fleet-system';
export const OPERATOR = 'mcp-fleet-operator';

/** The CRDs, established. */
export async function installDefinitions(kubectl: Kubectl): Promise<void> {
  await applyAndWait(
    kubectl,
    (await manifests()).filter(({ kind }) => kind === DEFINITION),
  );
}

/** Everything of `config/install.yaml`. Returns when the API server has it; the pods may not run yet. */
export async function deployOperator(kubectl: Kubectl, deviations: Deviations): Promise<void> {
  const objects = (await manifests()).map((each) => (isManager(each) ? deviated(each, deviations) : each));
  // The definitions first: what refers to their kinds is refused until they are established.
  const definitions = objects.filter(({ kind }) => kind === DEFINITION);
  await applyAndWait(kubectl, definitions);
  await apply(
    kubectl,
    objects.filter((each) => !definitions.includes(each)),
  );
}

/**
 * Everything but the CRDs and what people made with them: servers go on running.
 *
 * The namespace stays as long as it holds such objects, for the policies of the platform are there. Answers their names.
 */
export async function removeOperator(kubectl: Kubectl): Promise<readonly string[]> {
  const kept = await madeByPeople(kubectl);
  const objects = (await manifests()).filter(({ kind }) => kind !== DEFINITION && (kind !== 'Namespace' || kept.length === 0));
  await kubectl(['delete', '--ignore-not-found', '--wait', '--timeout=120s', '-f', '-'], yaml(objects.toReversed()));
  return kept;
}

/** Objects of our kinds in the operator's own namespace. Without CRDs there are none. */
async function madeByPeople(kubectl: Kubectl): Promise<readonly string[]> {
  const definitions = (await manifests()).filter(({ kind }) => kind === DEFINITION).map(({ metadata }) => metadata.name);
  const installed = lines(await kubectl(['get', 'crd', ...definitions, '--ignore-not-found', '-o', 'name']));
  if (installed.length === 0) return [];
  const kinds = installed.map((each) => basename(each)).join(',');
  return lines(await kubectl(['get', kinds, '--namespace', NAMESPACE, '--ignore-not-found', '-o', 'name']));
}

const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');

/**
 * The CRDs and with them every MCPServer.
 *
 * Errors: when objects wait for a finalizer, since the operator that would remove it is gone.
 */
export async function removeDefinitions(kubectl: Kubectl): Promise<void> {
  await kubectl(['delete', '--ignore-not-found', '--wait', '--timeout=60s', '-k', join(ROOT, 'crds')]).catch((cause: unknown) => {
    const hint =
      'MCPServers with cluster-scoped bindings are cleared by the operator: `make deploy` first, delete them, then `make undeploy uninstall`';
    throw new Error(`the CRDs are still there; ${hint}`, { cause });
  });
}

/** `sha256:…` of the image configuration in a docker-archive. */
export async function imageIdOf(archive: string): Promise<string> {
  const { stdout } = await promisify(execFile)('tar', ['--extract', '--to-stdout', '--file', archive, 'manifest.json']);
  const [image] = JSON.parse(stdout) as { Config: string }[];
  // `<hex>.json`, or `blobs/sha256/<hex>` where Docker keeps its images in containerd.
  return `sha256:${basename(image?.Config ?? '', '.json')}`;
}

async function applyAndWait(kubectl: Kubectl, definitions: readonly Manifest[]): Promise<void> {
  await apply(kubectl, definitions);
  await established(
    kubectl,
    definitions.map(({ metadata }) => metadata.name),
  );
}

function apply(kubectl: Kubectl, objects: readonly Manifest[]): Promise<string> {
  return kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], yaml(objects));
}

async function manifests(): Promise<Manifest[]> {
  const text = await readFile(join(ROOT, 'config/install.yaml'), 'utf8');
  return parseAllDocuments(text)
    .map((each) => each.toJSON() as Manifest | null)
    .filter((each) => each !== null);
}

function isManager(object: Manifest): object is Deployment {
  return object.kind === 'Deployment' && object.metadata.name === OPERATOR;
}

function deviated(deployment: Deployment, { image, imageId, flags = [] }: Deviations): Deployment {
  const { template } = deployment.spec;
  const containers = template.spec.containers.map((container) => ({
    ...container,
    image: image ?? container.image,
    // The guards run the same image.
    args: [...(container.args ?? []), ...(image === undefined ? [] : [`--guard-image=${image}`]), ...flags],
  }));
  const annotations = { ...template.metadata.annotations, ...(imageId === undefined ? {} : { 'mcp-fleet.dev/image-id': imageId }) };
  const pod = { ...template, metadata: { ...template.metadata, annotations }, spec: { ...template.spec, containers } };
  return { ...deployment, spec: { ...deployment.spec, template: pod } };
}

function yaml(objects: readonly object[]): string {
  return objects.map((each) => stringify(each, { aliasDuplicateObjects: false })).join('---\n');
}
