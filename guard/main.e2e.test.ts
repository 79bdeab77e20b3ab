import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundle } from './testing/bundle.ts';
import { eventually } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { scriptedServer } from './testing/scripted.ts';

/** The program as a pod runs it: flags and environment, the drain subcommand, signals, audit on stdout. */

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}';

let directory: string;
let server: ScriptedServer;
let answer: () => void = () => undefined;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'guard-main-'));
  writeFileSync(join(directory, 'bundle.json'), JSON.stringify(bundle()));
  server = await scriptedServer((_seen, response) => {
    answer = () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
    };
  });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

interface Program {
  readonly child: ChildProcess;
  readonly ports: { readonly data: number; readonly admin: number };
  readonly stdout: () => string;
}

async function start(): Promise<Program> {
  const environment: Record<string, string> = {
    BUNDLE: join(directory, 'bundle.json'),
    CONTROL: join(directory, 'guard.sock'),
    ADDRESS: '127.0.0.1',
  };
  for (const port of ['DATA_PORT', 'ADMIN_PORT', 'METRICS_PORT']) environment[port] = '0';
  const env = {
    ...process.env,
    ...Object.fromEntries(Object.entries(environment).map(([key, value]) => [`MCP_FLEET_GUARD_${key}`, value])),
  };
  const child = spawn(process.execPath, [MAIN, '--upstream', server.url, '--farewell-seconds', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await eventually(() => stderr.includes('"msg":"started"'), 'the guard started', 20_000);
  const line = stderr.split('\n').find((text) => text.includes('"msg":"started"')) ?? '';
  return { child, ports: JSON.parse(line) as Program['ports'], stdout: () => stdout };
}

const post = ({ ports }: Program): Promise<Response> =>
  fetch(`http://127.0.0.1:${ports.data}/mcp`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: CALL });

test('draining begun over the socket lets a call finish; SIGTERM then ends the program cleanly, with its records written', async () => {
  const guard = await start();
  const pending = post(guard);
  await eventually(() => server.calls().length === 1, 'the call arrived');
  const drained = fetch(`http://127.0.0.1:${guard.ports.admin}/drained`);
  const drain = spawn(process.execPath, [MAIN, 'drain', join(directory, 'guard.sock')], { stdio: 'ignore' });
  expect(await once(drain, 'exit')).toEqual([0, null]);
  const exited = once(guard.child, 'exit');
  guard.child.kill('SIGTERM');
  answer();
  expect((await pending).status).toBe(200);
  expect((await drained).status).toBe(200);
  expect(await exited).toEqual([0, null]);
  expect(guard.stdout()).toMatch(/^\{"audit":\{.*"method":"tools\/call".*\}\}\n$/);
});

test('a second signal ends it at once', async () => {
  const guard = await start();
  void post(guard).catch(() => undefined);
  await eventually(() => server.calls().length === 1, 'the call arrived');
  const exited = once(guard.child, 'exit');
  guard.child.kill('SIGTERM');
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
  guard.child.kill('SIGTERM');
  expect(await exited).toEqual([1, null]);
});

test.each([
  [['--upstream', 'nonsense', '--bundle', 'x'], '--upstream is not a URL'],
  [['--upstream', 'http://localhost'], '--bundle is required'],
  [['--unknown', 'x'], "Unknown option '--unknown'"],
])('%j is refused with a sentence', async (args, sentence) => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(stderr).toContain(sentence);
});
