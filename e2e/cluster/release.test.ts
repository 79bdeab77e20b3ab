import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { pinnedVersion } from './binaries.ts';
import { download, kubernetesRelease } from './release.ts';

const FOLDER = 'kubernetes/server/bin';

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-fleet-release-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function archive(): Promise<Buffer> {
  const folder = await temporary();
  await mkdir(join(folder, FOLDER), { recursive: true });
  await writeFile(join(folder, FOLDER, 'kubelet'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(join(folder, FOLDER, 'kube-log-runner'), 'not wanted');
  execFileSync('tar', ['-czf', join(folder, 'a.tar.gz'), '-C', folder, 'kubernetes']);
  return readFile(join(folder, 'a.tar.gz'));
}

async function served(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive.tar.gz`;
}

const sha512 = (bytes: Buffer): string => createHash('sha512').update(bytes).digest('hex');

async function tried(url: string, sum: string, limits: { answerMs?: number; stallMs?: number } = {}) {
  const to = await temporary();
  const said: string[] = [];
  const done = await download(
    { url, sha512: sum, folder: FOLDER },
    { programs: ['kubelet'], to, progress: (line) => said.push(line), ...limits },
  );
  return { done, to, said: said.join('\n'), left: await readdir(to) };
}

test('programs of an archive with the right sum are there and can be executed', async () => {
  const bytes = await archive();
  const { done, to, left } = await tried(await served((_, response) => response.end(bytes)), sha512(bytes));
  expect(done).toBe(true);
  expect(left).toEqual(['kubelet']);
  expect((await stat(join(to, 'kubelet'))).mode & 0o111).not.toBe(0);
});

test('an archive with another sum leaves nothing', async () => {
  const bytes = await archive();
  const { done, left, said } = await tried(await served((_, response) => response.end(bytes)), sha512(Buffer.from('another')));
  expect({ done, left }).toEqual({ done: false, left: [] });
  expect(said).toContain('it was changed on the way, nothing of it is used');
});

test.each<[string, RequestListener, string]>([
  ['is not there', (_, response) => response.writeHead(404).end(), 'HTTP 404'],
  ['does not answer', () => undefined, 'no answer within 50 ms'],
  ['stops in the middle', (_, response) => response.write('half'), 'nothing arrived for 50 ms'],
])('an archive that %s is given up', async (_, listener, why) => {
  const { done, left, said } = await tried(await served(listener), '', { answerMs: 50, stallMs: 50 });
  expect({ done, left }).toEqual({ done: false, left: [] });
  expect(said).toContain(why);
});

test('a machine without a way out is told so', async () => {
  const { done, said } = await tried('http://127.0.0.1:1/archive.tar.gz', '');
  expect(done).toBe(false);
  expect(said).toContain('Not downloaded: http://127.0.0.1:1/archive.tar.gz: ');
});

test('the sums are those of the version that would be built', async () => {
  const version = await pinnedVersion('kubelet');
  for (const arch of ['x64', 'arm64'] as const)
    expect(kubernetesRelease(version, { platform: 'linux', arch })?.sha512).toMatch(/^[0-9a-f]{128}$/);
  expect(kubernetesRelease(version, { platform: 'darwin', arch: 'arm64' })).toBeUndefined();
  expect(kubernetesRelease('v0.0.0', { platform: 'linux', arch: 'x64' })).toBeUndefined();
});
