import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bundle, RateLimit } from '../mcp/policy/bundle.ts';
import { Rounds } from './rounds.ts';
import { bundle, policy } from './testing/bundle.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { scriptedServer, tool } from './testing/scripted.ts';

/** Rates and the rounds of one call under multi-round-trip requests. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'asking',
  'x-api-key': 'a-key',
};
const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };

interface Answered {
  readonly requestState?: string;
  readonly _meta?: { readonly 'mcp-fleet.dev/denied'?: { readonly code: string } };
}

/** One call, or one round of one. */
async function call(guard: RunningGuard, more: object = {}): Promise<{ readonly passed: boolean; readonly state: string | undefined }> {
  const params = { name: 'asking', arguments: {}, _meta: META, ...more };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const response = await fetch(guard.url, { method: 'POST', headers: HEADERS, body });
  const { result } = (await response.json()) as { readonly result: Answered };
  const code = result._meta?.['mcp-fleet.dev/denied']?.code;
  if (code !== undefined) expect(code).toBe('RATE_LIMITED');
  return { passed: code === undefined, state: result.requestState };
}

/** A server whose tool asks once more in each round. */
async function asking(): Promise<ScriptedServer> {
  const server = await scriptedServer(
    (_seen, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{},"requestState":"state"}}');
    },
    { tools: [tool('asking')] },
  );
  stopping.push(server.stop);
  return server;
}

const RATES: Readonly<Record<string, Omit<RateLimit, 'requests' | 'burst'>>> = {
  'of the caller': { name: 'requests', per: 'Caller', windowMs: 3_600_000 },
  'of the tool': { name: 'calls', per: 'CallerAndTool', windowMs: 3_600_000, tools: ['asking'] },
};

const rules = (rate: Omit<RateLimit, 'requests' | 'burst'>, calls: number, authentication: Partial<Bundle['authentication']>): Bundle =>
  bundle({ authentication, policies: [policy({ limits: { rate: [{ ...rate, requests: calls, burst: calls }], concurrency: {} } })] });

async function started(server: ScriptedServer, policies: Bundle, sealingKey = randomBytes(32)): Promise<RunningGuard> {
  const guard = await runGuard({ upstream: server.url, bundle: policies, apiKeys: { one: 'a-key' }, sealingKey });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  return guard;
}

const GUARD = { type: 'Guard', apiKeys: true } as const;

describe.each(Object.entries(RATES))('the rate %s', (_what, rate) => {
  test.each([
    ['None', {}],
    ['Upstream', { type: 'Upstream' }],
  ] as const)('is paid by everything that calls itself a round where nothing is sealed (%s)', async (_type, authentication) => {
    const guard = await started(await asking(), rules(rate, 1, authentication));
    expect((await call(guard, { requestState: 'state' })).passed).toBe(true);
    expect((await call(guard, { requestState: 'state' })).passed).toBe(false);
    expect((await call(guard, { inputResponses: {} })).passed).toBe(false);
  });

  test('is paid by answers without a request state', async () => {
    const guard = await started(await asking(), rules(rate, 1, GUARD));
    expect((await call(guard, { inputResponses: {} })).passed).toBe(true);
    expect((await call(guard, { inputResponses: {} })).passed).toBe(false);
  });

  test('is paid once for a call and ten rounds of it, and once more for each round that is sent again', async () => {
    const server = await asking();
    const guard = await started(server, rules(rate, 2, GUARD));
    const states: (string | undefined)[] = [(await call(guard)).state];
    for (let round = 1; round <= 10; round += 1)
      states.push((await call(guard, { requestState: states.at(-1), inputResponses: {} })).state);
    expect(server.calls()).toHaveLength(11);
    expect((await call(guard, { requestState: states[3] })).passed).toBe(true);
    for (const requestState of states) expect((await call(guard, { requestState })).passed).toBe(false);
    expect(server.calls()).toHaveLength(12);
  });

  test('a round that pays has rounds of its own', async () => {
    const guard = await started(await asking(), rules(rate, 2, GUARD));
    const { state } = await call(guard);
    expect((await call(guard, { requestState: state })).passed).toBe(true);
    const again = await call(guard, { requestState: state });
    expect((await call(guard, { requestState: again.state })).passed).toBe(true);
    expect((await call(guard)).passed).toBe(false);
  });

  test('is not paid by a round that reaches another guard of the server', async () => {
    const server = await asking();
    const key = randomBytes(32);
    const [first, second] = [await started(server, rules(rate, 1, GUARD), key), await started(server, rules(rate, 1, GUARD), key)];
    const { state } = await call(first);
    expect((await call(second)).passed).toBe(true);
    expect((await call(second, { requestState: state })).passed).toBe(true);
    expect((await call(second, { requestState: state })).passed).toBe(false);
  });
});

test('a request state that is none of ours pays, and is refused', async () => {
  const server = await asking();
  const guard = await started(server, rules({ name: 'requests', per: 'Caller', windowMs: 3_600_000 }, 1, GUARD));
  const send = async (): Promise<string> => {
    const params = { name: 'asking', arguments: {}, _meta: META, requestState: 'forged' };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    return (await fetch(guard.url, { method: 'POST', headers: HEADERS, body })).text();
  };
  expect(await send()).toContain('requestState is not valid');
  expect(await send()).toContain('RATE_LIMITED');
  expect(server.calls()).toEqual([]);
});

describe('the memory of rounds', () => {
  const MINUTE = 60_000;

  test('lets no round pass that is older than ten minutes', () => {
    let now = 0;
    const rounds = new Rounds(() => now);
    const first = rounds.next('call', undefined);
    now = 10 * MINUTE;
    expect(rounds.pass(first)).toBe(true);
    now += 1;
    expect([rounds.pass(first), rounds.pass(rounds.next('call', first))]).toEqual([false, false]);
  });

  test('is bounded: what finds no room pays, until the oldest are over', () => {
    let now = 0;
    const rounds = new Rounds(() => now);
    const pass = (call: string): boolean => rounds.pass(rounds.next(call, undefined));
    for (let call = 0; call < 10_000; call += 1) expect(pass(String(call))).toBe(true);
    expect(pass('one more')).toBe(false);
    now = 10 * MINUTE + 1;
    expect(pass('one more')).toBe(true);
  });
});
