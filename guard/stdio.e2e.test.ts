import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { bundle, policy } from './testing/bundle.ts';
import { serveLegacy } from './testing/everything/legacy.ts';
import { serveModern } from './testing/everything/modern.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { RunningShim } from './testing/shim.ts';
import { runShim } from './testing/shim.ts';
import { conformance, differences } from './testing/suite.ts';

/** Stdio servers behind the real shim: the official suite, and what happens when children end. */

const stopping: (() => Promise<void>)[] = [];
const stopAll = async (): Promise<void> => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
};
afterEach(stopAll);
afterAll(stopAll);

const SERVER = fileURLToPath(new URL('testing/everything/stdio.ts', import.meta.url));

async function guarded(era: 'legacy' | 'modern', processes: 'Shared' | 'PerSession'): Promise<{ shim: RunningShim; guard: RunningGuard }> {
  const shim = await runShim([process.execPath, SERVER, era]);
  stopping.push(shim.stop);
  const guard = await runGuard({
    upstream: `unix:${shim.socket}`,
    flags: ['--transport', 'Stdio', '--processes', processes, '--drain-seconds', '1'],
    bundle: bundle({ policies: [policy({ methods: { ...policy().methods, unknown: 'Allow' } })] }),
  });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed', 30_000);
  return { shim, guard };
}

async function client(guard: RunningGuard): Promise<Client> {
  const made = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
  await made.connect(new StreamableHTTPClientTransport(new URL(guard.url)));
  stopping.push(() => made.close());
  return made;
}

const text = (result: Awaited<ReturnType<Client['callTool']>>): unknown => (result['content'] as { text?: string }[])[0]?.text;

describe('the official suite', () => {
  test.each([
    ['Shared', '2025-11-25', 'legacy', serveLegacy],
    ['PerSession', '2025-11-25', 'legacy', serveLegacy],
    ['Shared', '2026-07-28', 'modern', serveModern],
  ] as const)('with processes %s and requirements %s is the same as over HTTP', async (processes, requirements, era, serve) => {
    const server = await serve();
    stopping.push(server.stop);
    const direct = await conformance(server.url, requirements);
    const { guard } = await guarded(era, processes);
    const through = await conformance(guard.url.replace('127.0.0.1', 'localhost'), requirements);
    // Over stdio there is no stream to be resumed, and so no event ids; and an answer without anything before it is plain JSON.
    const ofTransport = /server-sse-polling|server-sse-streams-functional: SUCCESS → INFO/;
    expect(differences(direct, through).filter((line) => !ofTransport.test(line))).toEqual([]);
  });
});

test('a shared child serves many callers at once, each with its own ids and progress', async () => {
  const { guard } = await guarded('legacy', 'Shared');
  const clients = await Promise.all(Array.from({ length: 10 }, () => client(guard)));
  const seen = await Promise.all(
    clients.map(async (each) => {
      const progress: number[] = [];
      await each.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
        onprogress: (p) => void progress.push(p.progress),
      });
      return progress;
    }),
  );
  for (const progress of seen) expect(progress).toEqual([0, 50, 100]);
});

test('a child of one’s own can ask its client', async () => {
  const { guard } = await guarded('legacy', 'PerSession');
  const [one, two] = await Promise.all([client(guard), client(guard)]);
  one.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { username: 'one', email: 'a' } }));
  two.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { username: 'two', email: 'b' } }));
  const answers = await Promise.all([one, two].map((each) => each.callTool({ name: 'test_elicitation', arguments: { message: 'hi' } })));
  expect(answers.map(text)).toEqual([expect.stringContaining('"one"'), expect.stringContaining('"two"')]);
});

test('a child that crashes takes its calls with it; the next call works in the same session', async () => {
  const { guard, shim } = await guarded('legacy', 'Shared');
  const caller = await client(guard);
  const pending = caller.callTool({ name: 'test_tool_with_logging', arguments: {} });
  const failed = expect(pending).rejects.toThrow(/process of the server ended/);
  await eventually(() => guard.logText() !== '', 'the call is on its way');
  await new Promise((resolve) => {
    setTimeout(resolve, 15);
  });
  shim.signal('SIGUSR2');
  await failed;
  expect(text(await caller.callTool({ name: 'test_simple_text', arguments: {} }))).toBe('This is a simple text response for testing.');
});
