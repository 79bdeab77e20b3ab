import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stale, write } from './artifact.ts';

const artifacts = [
  { path: 'a.yaml', content: 'a: 1\n' },
  { path: 'b/c.json', content: '{}\n' },
];

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'artifacts-'));
});
afterEach(() => rm(root, { recursive: true }));

test('what was never written is stale', async () => {
  expect(await stale(artifacts, root)).toEqual(artifacts);
});

test('what was written is fresh', async () => {
  for (const artifact of artifacts) await write(artifact, root);
  expect(await stale(artifacts, root)).toEqual([]);
});

test('what somebody edited is stale, and that alone', async () => {
  for (const artifact of artifacts) await write(artifact, root);
  await write({ path: 'b/c.json', content: '{}' }, root);
  expect(await stale(artifacts, root)).toEqual([artifacts[1]]);
});
