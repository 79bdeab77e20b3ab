import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { entriesOf } from './archive.ts';
import type { ImageConfig } from './archive.ts';
import { baseFiles, librariesVersion, nodeRuntime, nodeVersion, NONROOT, shellTools } from './machine.ts';
import { CONTENT, installedPackages } from './packages.ts';
import { bake } from './recipe.ts';
import type { Entry } from './tar.ts';

/** Reference of the local Node runtime image. */
export const NODE_IMAGE = 'mcp-fleet.dev/node:24';

/** The published image with the same layout: the operator's default for npm packages. */
export const NODE_PUBLISHED = 'docker.io/library/node:24-slim';

/** Defaults of the official `node` images, for user 65532. */
export const NODE_CONFIG: ImageConfig = {
  Entrypoint: ['node'],
  Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'NODE_ENV=production', 'HOME=/tmp'],
  User: `${NONROOT}:${NONROOT}`,
  WorkingDir: '/app',
};

/**
 * Docker-archive with Node 24, npm, a shell and glibc, named `mcp-fleet.dev/node:24` or as asked: what runs `package: npm` servers.
 *
 * It has the layout of the official `node:24-slim`: node, npm and npx in /usr/local/bin.
 */
export async function nodeImage(name: string = NODE_IMAGE): Promise<string> {
  return bake({
    name,
    config: NODE_CONFIG,
    ingredients: await nodeIngredients(),
    layers: async () => [...(await nodeLayers()), await npm()],
  });
}

/** Reference of the local stand-in for the base image of the Dockerfile. */
export const BASE_IMAGE = 'mcp-fleet.dev/nodejs24:nonroot';

/** Docker-archive laid out like `gcr.io/distroless/nodejs24-debian13:nonroot`: node in /nodejs/bin as entry point, no shell. */
export async function baseImage(): Promise<string> {
  return bake({
    name: BASE_IMAGE,
    config: {
      Entrypoint: ['/nodejs/bin/node'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
      User: `${NONROOT}`,
      WorkingDir: '/home/nonroot',
    },
    ingredients: await nodeIngredients(),
    layers: async () => [await baseFiles(), await nodeRuntime('/nodejs/bin/node')],
  });
}

/** Layers with libraries, shell and node, the same bytes in each image, so that a node stores them once. */
export async function nodeLayers(): Promise<Entry[][]> {
  return [withoutRepetition([...(await baseFiles()), ...(await shellTools()), ...(await nodeRuntime())])];
}

/** What a change of must make images with a Node runtime anew. */
export async function nodeIngredients(): Promise<(string | Buffer)[]> {
  return [await nodeVersion(), await librariesVersion(), await readFile(join(CONTENT, 'package-lock.json'))];
}

export function withoutRepetition(entries: readonly Entry[]): Entry[] {
  return [...new Map(entries.map((entry) => [entry.path, entry])).values()];
}

async function npm(): Promise<Entry[]> {
  const modules = await installedPackages(CONTENT);
  const at = '/usr/local/lib/node_modules/npm';
  const manual = /^\/usr\/local\/lib\/node_modules\/npm\/(docs|man)(\/|$)/;
  return [
    ...(await entriesOf(join(modules, 'npm'), at, (path) => !manual.test(path))),
    { kind: 'symlink', path: '/usr/local/bin/npm', target: `${at}/bin/npm-cli.js` },
    { kind: 'symlink', path: '/usr/local/bin/npx', target: `${at}/bin/npx-cli.js` },
  ];
}
