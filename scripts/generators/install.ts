import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { ROOT } from '../sources.ts';
import type { Artifact } from './artifact.ts';
import { crds } from './crds.ts';
import { rbac } from './rbac.ts';
import { yamlDocument } from './yaml.ts';

/** `config/install.yaml`: the objects of `config/default` in one file, in its order; and the kustomization of `crds/`. */
export async function install(): Promise<readonly Artifact[]> {
  const definitions = crds();
  const list: Artifact = {
    path: 'crds/kustomization.yaml',
    content: yamlDocument({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: definitions.map(({ path }) => path.replace(/^crds\//, '')),
    }),
  };
  const made = new Map([...definitions, list, ...rbac()].map(({ path, content }) => [path, content]));
  const documents = await kustomization('config/default', made);
  return [list, { path: 'config/install.yaml', content: yamlDocument(...documents) }];
}

/** Objects of a folder whose kustomization.yaml only lists resources: ours need no transformation. */
async function kustomization(folder: string, made: ReadonlyMap<string, string>): Promise<object[]> {
  const text = await source(join(folder, 'kustomization.yaml'), made);
  const { resources = [], ...rest } = parse(text) as { resources?: string[] };
  const transformations = Object.keys(rest).filter((key) => !['apiVersion', 'kind'].includes(key));
  if (transformations.length > 0) {
    throw new Error(`${folder}/kustomization.yaml has ${transformations.join(', ')}, which config/install.yaml would lack`);
  }
  const nested = await Promise.all(resources.map((resource) => objects(join(folder, resource), made)));
  return nested.flat();
}

async function objects(path: string, made: ReadonlyMap<string, string>): Promise<object[]> {
  if (!path.endsWith('.yaml')) {
    return kustomization(path, made);
  }
  const documents = parseAllDocuments(await source(path, made));
  return documents.map((each) => each.toJSON() as object | null).filter((each) => each !== null);
}

async function source(path: string, made: ReadonlyMap<string, string>): Promise<string> {
  return made.get(path) ?? readFile(join(ROOT, path), 'utf8');
}
