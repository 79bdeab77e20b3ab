import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { cacheDirectory } from '../cache.ts';
import { installedPackages } from '../images/packages.ts';

/** A server with its address. */
export interface Served {
  readonly url: string;
  stop(): Promise<void>;
}

/** Verdaccio in front of this machine's npm registry; what was asked for once is served from the cache afterwards. */
export async function npmRegistry(address: string): Promise<Served> {
  const modules = await installedPackages(join(import.meta.dirname, 'verdaccio'));
  const folder = await mkdtemp(join(tmpdir(), 'mcp-fleet-registry-'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, stringify(await configuration()));
  const url = `http://${address}:${await freePort(address)}/`;
  const output: string[] = [];
  const child = spawn(process.execPath, [join(modules, 'verdaccio/bin/verdaccio'), '--config', config, '--listen', url], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => output.push(bytes.toString('utf8')));
  }
  const kill = (): void => void child.kill();
  process.once('exit', kill);
  async function stop(): Promise<void> {
    process.off('exit', kill);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  }
  try {
    await answers(`${url}-/ping`, child, output);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function configuration(): Promise<object> {
  const storage = cacheDirectory('registry', 'npm');
  await mkdir(storage, { recursive: true });
  const { stdout } = await promisify(execFile)('npm', ['config', 'get', 'registry']);
  return {
    storage,
    // Versions are pinned: what is here need not be looked up again, and a machine without network can still serve it.
    uplinks: { machine: { url: stdout.trim(), maxage: '30d', timeout: '60s', max_fails: 100, fail_timeout: '1s', cache: true } },
    packages: { '**': { access: '$all', publish: '$authenticated', proxy: 'machine' } },
    web: { enable: false },
    log: { type: 'stdout', format: 'pretty', level: 'warn' },
  };
}

async function answers(url: string, child: ChildProcess, output: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok === true) {
      return;
    }
    if (child.exitCode !== null) {
      break;
    }
    await after(100);
  }
  throw new Error(`the npm registry did not start: ${output.join('').slice(-2_000)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill();
    await once(child, 'exit');
  }
}

async function freePort(address: string): Promise<number> {
  const server = createServer();
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') {
    throw new TypeError(`no port on ${address}`);
  }
  return bound.port;
}
