import { afterEach, expect, test } from 'vitest';
import { bundle, policy } from '../testing/bundle.ts';
import { eventually, runGuard } from '../testing/running.ts';
import { scriptedServer, tool } from '../testing/scripted.ts';
import { AuditLog } from './log.ts';
import { redacted } from './redaction.ts';
import { LineSink } from './sink.ts';

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

const record = {
  server: { namespace: 'agents', name: 'test' },
  caller: undefined,
  client: undefined,
  method: 'tools/call',
  object: undefined,
  decision: 'allow',
  code: 'ALLOWED',
  origin: {},
  cause: undefined,
  arguments: undefined,
  result: { status: 200, error: undefined, bytes: 0 },
  timing: { totalMs: 0, guardMs: 0, upstreamMs: 0 },
  requestId: 'r',
  traceId: undefined,
} as const;

test('records that do not fit are counted in the next one that is written, and the chain goes on', async () => {
  let text = '';
  const writes: (() => void)[] = [];
  const sink = new LineSink((bytes, done) => {
    writes.push(() => {
      text += bytes.toString();
      done(null);
    });
  });
  const log = new AuditLog(sink, () => 0);
  const big = { ...record, method: 'x'.repeat(250) };
  let written = 0;
  while (log.missing === 0) {
    log.write(big);
    written += 1;
  }
  log.write(big);
  expect([log.missing, log.writable]).toEqual([2, true]);
  await eventually(() => writes.length === 1, 'the write began');
  writes[0]?.();
  log.write(record);
  await eventually(() => writes.length === 2, 'the next write began');
  writes[1]?.();
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { audit: { seq: number; gap?: number } }).audit);
  expect(lines).toHaveLength(written);
  expect(lines.at(-1)).toMatchObject({ gap: 2, seq: written });
});

test('lines gather for a moment, urgent ones do not wait, and the end waits for all', async () => {
  const written: string[] = [];
  const sink = new LineSink((bytes, done) => {
    written.push(bytes.toString());
    done(null);
  });
  sink.offer('a');
  await new Promise(setImmediate);
  expect(written).toEqual([]);
  sink.offer('b', true);
  await new Promise(setImmediate);
  expect(written).toEqual(['ab']);
  sink.offer('c');
  sink.offer('d');
  await eventually(() => written.length === 2, 'what gathered is written');
  sink.offer('e');
  await sink.flushed();
  expect(written).toEqual(['ab', 'cd', 'e']);
  sink.offer('f', true);
  await new Promise(setImmediate);
  expect(written.at(-1)).toBe('f');
});

test('while records cannot be written, destructive calls are refused where the policy says so, and no others', async () => {
  const server = await scriptedServer(
    (_seen, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    },
    { tools: [tool('read', { readOnlyHint: true }), tool('delete', { destructiveHint: true })] },
  );
  stopping.push(server.stop);
  let broken = false;
  const guard = await runGuard({
    upstream: server.url,
    bundle: bundle({ policies: [policy({ audit: { level: 'Metadata', redact: [], onFailure: 'Block' } })] }),
    beforeAudit: () => {
      if (broken) throw new Error('no space left');
    },
  });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  const call = async (name: string): Promise<string> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } });
    return (await fetch(guard.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).text();
  };
  expect(await call('delete')).toContain('"content":[]');
  broken = true;
  await eventually(async () => (await call('delete')).includes('AUDIT_UNAVAILABLE'), 'destructive calls are refused');
  expect(await call('read')).toContain('"content":[]');
  broken = false;
  await eventually(async () => (await call('delete')).includes('"content":[]'), 'they pass again');
});

test.each([
  ['a member', ['/password'], { password: 'x', user: 'u' }, { password: '[redacted]', user: 'u' }],
  ['any depth', ['/**/token'], { a: [{ token: 't' }], token: 't' }, { a: [{ token: '[redacted]' }], token: '[redacted]' }],
  [
    'every element',
    ['/items/*/key'],
    { items: [{ key: 1 }, { key: 2, x: 3 }] },
    { items: [{ key: '[redacted]' }, { key: '[redacted]', x: 3 }] },
  ],
  ['an escaped name', ['/a~1b'], { 'a/b': 'x' }, { 'a/b': '[redacted]' }],
  ['nothing that is not there', ['/x/y'], { x: 'text' }, { x: 'text' }],
])('%s is redacted', (_what, paths, value, expected) => {
  expect(JSON.parse(JSON.stringify(redacted(value, paths)))).toEqual(expected);
});
