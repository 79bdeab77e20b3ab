import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Program } from './testing/program.ts';
import { MAIN, runProgram } from './testing/program.ts';
import { eventually } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { scriptedServer } from './testing/scripted.ts';

/** The program as a pod runs it: flags and environment, the drain subcommand, signals, audit on stdout. */

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}';

let server: ScriptedServer;
let answer: () => void = () => undefined;
const programs: Program[] = [];

beforeEach(async () => {
  server = await scriptedServer((_seen, response) => {
    answer = () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
    };
  });
});
afterEach(async () => {
  for (const program of programs.splice(0)) program.remove();
  await server.stop();
});

async function start(): Promise<Program> {
  const program = await runProgram({ upstream: server.url });
  programs.push(program);
  return program;
}

const post = ({ ports }: Program): Promise<Response> =>
  fetch(`http://127.0.0.1:${ports.data}/mcp`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: CALL });

test('draining begun over the socket lets a call finish; SIGTERM then ends the program cleanly, with its records written', async () => {
  const guard = await start();
  const pending = post(guard);
  await eventually(() => server.calls().length === 1, 'the call arrived');
  const drained = fetch(`http://127.0.0.1:${guard.ports.admin}/drained`);
  const drain = spawn(process.execPath, [MAIN, 'drain', join(guard.directory, 'guard.sock')], { stdio: 'ignore' });
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
