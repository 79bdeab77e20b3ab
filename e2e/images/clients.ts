import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { entriesOf } from './archive.ts';
import { NODE_CONFIG, nodeIngredients, nodeLayers } from './node.ts';
import { installedPackages } from './packages.ts';
import { bundledProgram } from './program.ts';
import { pythonPackages } from './python.ts';
import { bake } from './recipe.ts';
import type { Entry } from './tar.ts';

export const CLIENTS_IMAGE = 'mcp-fleet.dev/clients:1';
export const PYTHON_CLIENT_IMAGE = 'mcp-fleet.dev/python-client:1';

const FOLDER = join(import.meta.dirname, 'clients');
/** Pins of the inspector, whose own dependencies are no concern of this repository's. */
const INSPECTOR_PINS = join(import.meta.dirname, 'inspector');
const CONFORMANCE = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));

/** Where the inspector's command is in the image. */
export const INSPECTOR = '/app/inspector/clients/cli/build/index.js';

/**
 * The official conformance suite, the official TypeScript clients of both generations and the inspector's command, each a file that `node` runs:
 * `suite.mjs`, `typescript-v1.mjs`, `typescript-v2.mjs` in /app, and `INSPECTOR`.
 */
export async function clientsImage(name: string = CLIENTS_IMAGE): Promise<string> {
  const programs = await clientPrograms();
  return bake({
    name,
    config: { ...NODE_CONFIG, Entrypoint: ['sleep', 'infinity'] },
    ingredients: [
      ...(await nodeIngredients()),
      await readFile(join(INSPECTOR_PINS, 'package-lock.json')),
      ...programs.map(({ content }) => createHash('sha256').update(content).digest('hex')),
    ],
    layers: async () => [...(await nodeLayers()), [...programs, ...(await suite()), ...(await inspector())]],
  });
}

async function clientPrograms(): Promise<(Entry & { readonly content: Uint8Array })[]> {
  return Promise.all(
    ['suite', 'typescript-v1', 'typescript-v2'].map(async (program) => ({
      kind: 'file' as const,
      path: `/app/${program}.mjs`,
      content: await bundledProgram(join(FOLDER, `${program}.ts`)),
    })),
  );
}

/** Laid out as npm would install it, with what it depends on in its one program. */
async function suite(): Promise<Entry[]> {
  const at = '/app/node_modules/@modelcontextprotocol/conformance';
  return [
    { kind: 'file', path: `${at}/dist/index.js`, content: await bundledProgram(join(CONFORMANCE, 'dist/index.js')) },
    ...(await entriesOf(join(CONFORMANCE, 'package.json'), `${at}/package.json`)),
    ...(await entriesOf(join(CONFORMANCE, 'requirements'), `${at}/requirements`)),
  ];
}

/** The command alone: the package's web pages are most of it. It looks for the package.json of its package above itself. */
async function inspector(): Promise<Entry[]> {
  const source = join(await installedPackages(INSPECTOR_PINS), '@modelcontextprotocol/inspector');
  // The keyring is optional, and this release of esbuild does not know that Node has readline/promises.
  const program = await bundledProgram(join(source, 'clients/cli/build/index.js'), ['@napi-rs/keyring', 'readline/promises']);
  return [
    { kind: 'file', path: INSPECTOR, content: program },
    ...(await entriesOf(join(source, 'package.json'), '/app/inspector/package.json')),
  ];
}

/** The official Python client with its program /app/client.py. */
export async function pythonClientImage(name: string = PYTHON_CLIENT_IMAGE): Promise<string> {
  const program = await readFile(join(FOLDER, 'client.py'));
  const { config, ingredients, layers } = await pythonPackages(['mcp==2.3.0']);
  return bake({
    name,
    config: { ...config, Entrypoint: ['sleep', 'infinity'], Cmd: [] },
    ingredients: [...ingredients, program],
    layers: async () => [...(await layers()), [{ kind: 'file', path: '/app/client.py', content: program }]],
  });
}
