import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bundle, READ_ONLY } from '../testing/bundle.ts';
import type { Collector } from '../testing/collector.ts';
import { runCollector } from '../testing/collector.ts';
import type { RunningGuard } from '../testing/running.ts';
import { eventually, runGuard } from '../testing/running.ts';
import type { ScriptedServer } from '../testing/scripted.ts';
import { scriptedServer, tool } from '../testing/scripted.ts';
import { SpanExporter } from './exporter.ts';
import { traceContext } from './tracecontext.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
const OTHER_TRACE = '0af7651916cd43dd8448eb211c80319c';

let collector: Collector;
let server: ScriptedServer;
let guard: RunningGuard;
beforeEach(async () => {
  collector = await runCollector();
  server = await scriptedServer(
    (_seen, response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'),
    { tools: [tool('list', { readOnlyHint: true }), tool('delete', { destructiveHint: true })] },
  );
  guard = await runGuard({
    upstream: server.url,
    bundle: bundle({ policies: [READ_ONLY] }),
    flags: ['--otlp-endpoint', collector.url],
  });
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
});
afterEach(async () => {
  await guard.stop();
  await server.stop();
  await collector.stop();
});

interface Sent {
  readonly name?: string;
  readonly meta?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

const call = ({ name = 'list', meta, headers }: Sent = {}): Promise<Response> =>
  fetch(guard.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: { secret: 'canary' }, _meta: meta } }),
  });

/** Spans leave when the guard stops. */
async function spans(): Promise<readonly Collector['spans'][number][]> {
  await guard.stop();
  return collector.spans;
}

test('a call has a span as its caller sees it and one between guard and server, under the span of the caller', async () => {
  await call({ meta: { traceparent: PARENT } });
  const audited = (await guard.audit())[0]?.['traceId'];
  const [whole, leg, ...others] = await spans();
  expect(others).toEqual([]);
  expect(collector.paths).toEqual(['/v1/traces']);
  expect(whole).toMatchObject({ traceId: TRACE, parentSpanId: '00f067aa0ba902b7', name: 'tools/call list', kind: 2 });
  expect(whole?.attributes).toMatchObject({
    'mcp.method.name': 'tools/call',
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'list',
    'event.action': 'allow',
    'mcp_fleet.decision.code': 'ALLOWED',
  });
  expect(whole?.resource).toMatchObject({ 'service.name': 'test', 'service.namespace': 'agents' });
  expect(leg).toMatchObject({ traceId: TRACE, parentSpanId: whole?.spanId, name: 'tools/call list', kind: 3 });
  expect(BigInt(leg?.startTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(whole?.startTimeUnixNano ?? 1));
  expect(BigInt(leg?.endTimeUnixNano ?? 1)).toBeLessThanOrEqual(BigInt(whole?.endTimeUnixNano ?? 0) + 1_000n);
  expect(audited).toBe(TRACE);
  // The server goes on under the guard's span, by whichever of the two it reads; every other byte is the caller's.
  const [seen] = server.calls('tools/call');
  const below = `00-${TRACE}-${leg?.spanId}-01`;
  expect(seen?.headers['traceparent']).toBe(below);
  expect(seen?.body.toString()).toBe(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{"secret":"canary"},"_meta":{"traceparent":"${below}"}}}`,
  );
});

test('a refused call has one span, with the rule; it fails', async () => {
  await call({ name: 'delete', headers: { traceparent: PARENT } });
  const [whole, ...others] = await spans();
  expect(others).toEqual([]);
  expect(whole).toMatchObject({ traceId: TRACE, parentSpanId: '00f067aa0ba902b7', status: { code: 2 } });
  expect(whole?.attributes).toMatchObject({ 'event.action': 'deny', 'security_rule.ruleset.name': 'agents/policy' });
});

test('without a parent a trace begins; the audit record names it', async () => {
  await call();
  const audited = (await guard.audit())[0]?.['traceId'];
  const [whole] = await spans();
  expect(whole?.parentSpanId).toBeUndefined();
  expect(audited).toBe(whole?.traceId);
  expect(server.calls('tools/call')[0]?.body.includes('traceparent')).toBe(false);
});

test('the message goes before the header, which becomes a link', async () => {
  await call({ meta: { traceparent: PARENT }, headers: { traceparent: `00-${OTHER_TRACE}-b7ad6b7169203331-01` } });
  const [whole] = await spans();
  expect(whole).toMatchObject({ traceId: TRACE, links: [{ traceId: OTHER_TRACE, spanId: 'b7ad6b7169203331' }] });
});

test('what its caller does not want recorded is not, and stays so for the server', async () => {
  await call({ headers: { traceparent: PARENT.replace(/01$/, '00') } });
  expect(await spans()).toEqual([]);
  expect(server.calls('tools/call')[0]?.headers['traceparent']).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
});

test('names that callers invent, arguments and URIs are in no span', async () => {
  await call({ name: 'canary-tool' });
  await fetch(guard.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":"canary-id","method":"canary/method","params":{"uri":"canary://x"}}',
  });
  const seen = await spans();
  expect(seen.map(({ name }) => name)).toEqual(['tools/call _OTHER', '_OTHER']);
  expect(collector.text()).not.toContain('canary');
});

test('a receiver that fails is reported once and disturbs nobody', async () => {
  collector.status = 503;
  await call();
  const before = Date.now();
  expect((await call()).status).toBe(200);
  await guard.stop();
  expect(collector.spans).toEqual([]);
  expect(guard.logText().match(/failed to send traces/g)).toHaveLength(1);
  expect(Date.now() - before).toBeLessThan(20_000);
});

describe('the exporter', () => {
  const span = {
    traceId: TRACE,
    spanId: '1'.repeat(16),
    parentSpanId: undefined,
    link: undefined,
    name: 'x',
    kind: 'SERVER',
    start: 1,
    end: 2,
  } as const;
  const exporter = (endpoint: string, dropped: number[]): SpanExporter =>
    new SpanExporter({
      endpoint: new URL(endpoint),
      resource: () => ({}),
      version: '0',
      failing: () => undefined,
      dropped: (spans) => void dropped.push(spans),
    });
  const full = { ...span, attributes: {}, failed: false };

  test('holds so many spans and no more; the rest is counted', () => {
    const dropped: number[] = [];
    const made = exporter('http://127.0.0.1:1', dropped);
    for (let index = 0; index < 2_048 + 7; index += 1) made.offer(full);
    expect(dropped).toEqual([1, 1, 1, 1, 1, 1, 1]);
  });

  test('sends a full batch at once, and all of them in batches', async () => {
    const made = exporter(collector.url, []);
    for (let index = 0; index < 1_200; index += 1) made.offer(full);
    await eventually(() => collector.spans.length >= 1_024, 'two full batches arrived');
    await made.close();
    expect(collector.spans).toHaveLength(1_200);
  });

  test('gives up what the receiver will never take, and counts it', async () => {
    collector.status = 400;
    const dropped: number[] = [];
    const made = exporter(collector.url, dropped);
    for (let index = 0; index < 512; index += 1) made.offer(full);
    await eventually(() => dropped.length > 0, 'they were given up');
    expect(dropped).toEqual([512]);
  });

  test.each([
    ['/', '/v1/traces'],
    ['/otlp/', '/otlp/v1/traces'],
    ['/v1/traces', '/v1/traces'],
  ])('an endpoint at %s is asked at %s', async (path, expected) => {
    const made = exporter(`${collector.url}${path}`, []);
    made.offer(full);
    await made.close();
    expect(collector.paths).toEqual([expected]);
  });
});

test.each([
  ['a parent', PARENT, { traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: true }],
  ['one that is not recorded', PARENT.replace(/01$/, '02'), { traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: false }],
  ['a later version with more to say', `cc${PARENT.slice(2)}-what`, { traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: true }],
  ['version 00 with more to say', `${PARENT}-what`, undefined],
  ['version ff', `ff${PARENT.slice(2)}`, undefined],
  ['no trace', PARENT.replace(TRACE, '0'.repeat(32)), undefined],
  ['upper case', PARENT.toUpperCase(), undefined],
  ['a number', 7, undefined],
])('%s in a traceparent', (_what, text, expected) => {
  expect(traceContext(text)).toEqual(expected);
});
