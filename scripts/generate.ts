import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { apiReference } from './generators/api-reference.ts';
import type { Artifact, Generator } from './generators/artifact.ts';
import { crds, editorSchemas } from './generators/crds.ts';
import { install } from './generators/install.ts';
import { rbac } from './generators/rbac.ts';

/** Everything that is generated and committed. Add a generator here; `make test` then checks that its files are fresh. */
const GENERATORS: readonly Generator[] = [crds, editorSchemas, apiReference, rbac, install];

const ROOT = resolve(import.meta.dirname, '..');

async function isStale({ path, content }: Artifact): Promise<boolean> {
  const current = await readFile(resolve(ROOT, path), 'utf8').catch(() => undefined);
  return current !== content;
}

async function write({ path, content }: Artifact): Promise<void> {
  await mkdir(dirname(resolve(ROOT, path)), { recursive: true });
  await writeFile(resolve(ROOT, path), content);
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });

const stale: Artifact[] = [];
for (const generator of GENERATORS) {
  for (const artifact of await generator()) if (await isStale(artifact)) stale.push(artifact);
}
if (values.check) {
  for (const { path } of stale) console.error(`${path} is stale: run npm run generate and commit the result`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const artifact of stale) {
    await write(artifact);
    console.log(`wrote ${artifact.path}`);
  }
}
