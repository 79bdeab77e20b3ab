import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { entriesOf, writeArchive } from './archive.ts';

const run = promisify(execFile);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mcp-fleet-archive-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const LONG = `${'deep/'.repeat(40)}übung.txt`;

function archive(to: string): ReturnType<typeof writeArchive> {
  return writeArchive({
    name: 'mcp-fleet.dev/test:1',
    layers: [
      [
        { kind: 'file', path: '/b', content: 'second', mode: 0o600 },
        { kind: 'file', path: '/a', content: 'first' },
        { kind: 'symlink', path: '/link', target: 'a' },
        { kind: 'directory', path: '/empty' },
      ],
      [{ kind: 'file', path: LONG, content: 'x'.repeat(600) }],
    ],
    config: { Entrypoint: ['/a'] },
    to,
  });
}

test('another tar reads every entry, long and non-ASCII paths included', async () => {
  const made = await archive(join(folder, 'image.tar'));
  await run('tar', ['-xf', made.path, '-C', folder]);
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as { Config: string; Layers: string[] }[];
  expect(manifest[0]?.Layers.map((layer) => `sha256:${layer.replace('.tar', '')}`)).toEqual(made.layers);
  const root = join(folder, 'root');
  await mkdir(root);
  for (const layer of manifest[0]?.Layers ?? []) {
    const { stdout } = await run('sha256sum', [join(folder, layer)]);
    expect(stdout.split(' ')[0]).toBe(layer.replace('.tar', ''));
    await run('tar', ['-xf', join(folder, layer), '-C', root]);
  }
  expect(await readFile(join(root, 'link'), 'utf8')).toBe('first');
  expect(await readFile(join(root, LONG), 'utf8')).toHaveLength(600);
});

test('equal input gives an equal file', async () => {
  const one = await archive(join(folder, 'one.tar'));
  const two = await archive(join(folder, 'two.tar'));
  expect(await readFile(one.path)).toEqual(await readFile(two.path));
});

test('a directory tree keeps links and modes and can be filtered', async () => {
  const tree = join(folder, 'tree');
  await mkdir(join(tree, 'bin'), { recursive: true });
  await writeFile(join(tree, 'bin', 'tool'), '#!', { mode: 0o755 });
  await symlink('tool', join(tree, 'bin', 'alias'));
  await writeFile(join(tree, 'secret'), 'no');
  const entries = await entriesOf(tree, '/opt', (path) => path !== '/opt/secret');
  const seen = entries.map((entry) => `${entry.kind} ${entry.path} ${(entry.mode ?? 0).toString(8)}`);
  expect(seen.toSorted()).toEqual(['copy /opt/bin/tool 755', 'directory /opt 755', 'directory /opt/bin 755', 'symlink /opt/bin/alias 0']);
});

test('a file that changed its length while it was archived is refused', async () => {
  const source = join(folder, 'source');
  await writeFile(source, '12345');
  const layers = [[{ kind: 'copy', path: '/x', source, size: 4 } as const]];
  await expect(writeArchive({ name: 'x:1', layers, config: {}, to: join(folder, 'x.tar') })).rejects.toThrow(/changed from 4 to 5 bytes/);
});
