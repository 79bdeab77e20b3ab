import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuditChains } from '../../mcp/auditchain.ts';
import { bundle, policy } from '../testing/bundle.ts';
import type { Program } from '../testing/program.ts';
import { runProgram } from '../testing/program.ts';
import { eventually } from '../testing/running.ts';
import type { ScriptedServer } from '../testing/scripted.ts';
import { scriptedServer, tool } from '../testing/scripted.ts';

/** The real process with a standard output that somebody stops reading. */

let server: ScriptedServer;
let guard: Program;
beforeEach(async () => {
  server = await scriptedServer(
    (seen, response) => {
      const { id } = JSON.parse(seen.body.toString()) as { readonly id: number };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } }));
    },
    { tools: [tool('read', { readOnlyHint: true }), tool('delete', { destructiveHint: true })] },
  );
  const audit = { level: 'Metadata', redact: [], onFailure: 'Block' } as const;
  guard = await runProgram({ upstream: server.url, bundle: bundle({ policies: [policy({ audit })] }) });
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
});
afterEach(async () => {
  guard.remove();
  await server.stop();
});

let sent = 0;
async function call(name: string): Promise<string> {
  sent += 1;
  const body = JSON.stringify({ jsonrpc: '2.0', id: sent, method: 'tools/call', params: { name, arguments: { text: 'x'.repeat(100) } } });
  return (await fetch(guard.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).text();
}

test('while nobody reads the log, destructive calls are refused and others served; nothing is lost, and the chain is whole', async () => {
  sent = 0;
  guard.child.stdout?.pause();
  let refused = 0;
  // Pipes hold some hundred kilobytes before anybody notices.
  await eventually(
    async () => {
      await Promise.all(Array.from({ length: 50 }, () => call('read')));
      refused += (await call('delete')).includes('AUDIT_UNAVAILABLE') ? 1 : 0;
      return refused > 0;
    },
    'a destructive call is refused',
    30_000,
  );
  expect(await call('read')).toContain('"content":[]');
  guard.child.stdout?.resume();
  await eventually(async () => (await call('delete')).includes('"content":[]'), 'destructive calls pass again', 30_000);
  const exited = once(guard.child, 'close');
  guard.child.kill('SIGTERM');
  await exited;
  const chains = new AuditChains();
  for (const line of guard.stdout().split('\n')) chains.take(line);
  expect(chains.report()).toEqual({ records: sent, boots: 1, missing: 0, breaks: [] });
}, 90_000);
