import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { apiReference } from './generators/api-reference.ts';
import { stale, write } from './generators/artifact.ts';
import type { Generator } from './generators/artifact.ts';
import { crds, editorSchemas } from './generators/crds.ts';
import { decisions } from './generators/decisions.ts';
import { install } from './generators/install.ts';
import { rbac } from './generators/rbac.ts';

/** Everything that is generated and committed. Add a generator here; `make test` then checks that its files are fresh. */
const GENERATORS: readonly Generator[] = [crds, editorSchemas, apiReference, rbac, install, decisions];

const ROOT = resolve(import.meta.dirname, '..');

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });

const artifacts = (await Promise.all(GENERATORS.map(async (generate) => generate()))).flat();
for (const artifact of await stale(artifacts, ROOT)) {
  if (values.check) {
    console.error(`${artifact.path} is stale: run npm run generate and commit the result`);
    process.exitCode = 1;
  } else {
    await write(artifact, ROOT);
    console.log(`wrote ${artifact.path}`);
  }
}
