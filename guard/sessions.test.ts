import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bundle } from '../mcp/policy/bundle.ts';
import { HOP_HEADER, hopMarker, hopSource } from './session/peers.ts';
import { randomSealingKey, Sealer } from './session/seal.ts';
import { bundle, policy } from './testing/bundle.ts';
import type { Pod } from './testing/pods.ts';
import { balanced, startPod, startPods } from './testing/pods.ts';
import { CALL, HEADERS, initialize, post } from './testing/requests.ts';
import { eventually, runGuard } from './testing/running.ts';
import { rpcMethod, scriptedServer, tool } from './testing/scripted.ts';

/** Sessions of the legacy era across replicas: every pod has a server and a guard, all guards share one sealing key. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

async function pods(count: number, rules?: Bundle): Promise<Pod[]> {
  const made = await startPods(count, rules);
  for (const each of made) stopping.push(each.server.stop, each.guard.stop);
  return made;
}

describe('behind a load balancer that knows no sessions', () => {
  test('an official client calls, hears progress and answers questions of the server', async () => {
    const members = await pods(3);
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { username: 'me', email: 'me@x' } }));
    const first = members[0]?.url ?? '';
    await client.connect(new StreamableHTTPClientTransport(new URL(first), { fetch: balanced(() => members) }));
    stopping.push(() => client.close());
    for (let round = 0; round < 6; round += 1) {
      expect(JSON.stringify(await client.callTool({ name: 'test_simple_text', arguments: {} }))).toContain('simple text');
    }
    const progress: number[] = [];
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
      onprogress: (p) => void progress.push(p.progress),
    });
    expect(progress).toEqual([0, 50, 100]);
    for (let round = 0; round < 3; round += 1) {
      expect(JSON.stringify(await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } }))).toContain('me@x');
    }
    // The pod that has the session records everything, the others nothing of it.
    const audits = await Promise.all(members.map(({ guard }) => guard.audit()));
    const recorded = audits.map((audit) => audit.filter((record) => record['method'] === 'tools/call').length);
    expect(recorded.toSorted((a, b) => a - b)).toEqual([0, 0, 10]);
  });
});

describe('a session id', () => {
  const keys = bundle({ authentication: { type: 'Guard', apiKeys: true } });
  const [one, two] = [{ 'x-api-key': 'key-one' }, { 'x-api-key': 'key-two' }];

  test('of another caller, a forged one and an unknown one are answered alike', async () => {
    const [member] = await pods(1, keys);
    const url = member?.url ?? '';
    const id = await initialize(url, one);
    expect((await post(url, CALL, { ...one, 'mcp-session-id': id })).status).toBe(200);
    const forged = `${id.slice(0, -2)}${id.endsWith('AA') ? 'BB' : 'AA'}`;
    const answers = await Promise.all(
      [
        { ...two, 'mcp-session-id': id },
        { ...one, 'mcp-session-id': forged },
        { ...one, 'mcp-session-id': 'none' },
      ].map(async (headers) => {
        const response = await post(url, CALL, headers);
        return [response.status, await response.text()].join(' ');
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^404 /);
  });

  test('of a pod that is gone, or whose address another one has, is unknown within about a second', async () => {
    const members = await pods(2);
    const [here, gone] = members;
    if (here === undefined || gone === undefined) throw new Error('two pods');
    const id = await initialize(gone.url);
    expect((await post(here.url, CALL, { 'mcp-session-id': id })).status).toBe(200);
    stopping.splice(stopping.indexOf(gone.guard.stop), 1);
    await gone.guard.stop();
    await eventually(async () => (await post(here.url, CALL, { 'mcp-session-id': id })).status === 404, 'the pod is missed');
    const other = await startPod(2, here.guard.ports.data);
    stopping.push(other.server.stop, other.guard.stop);
    expect((await post(here.url, CALL, { 'mcp-session-id': id })).status).toBe(404);
    expect((await other.guard.audit()).filter((record) => record['method'] === 'tools/call')).toHaveLength(0);
  });

  test('that was handed over once is not handed over again', async () => {
    const [here, there] = await pods(2);
    const id = await initialize(there?.url ?? '');
    expect((await post(here?.url ?? '', CALL, { 'mcp-session-id': id, 'x-mcp-fleet-hop': '1' })).status).toBe(404);
  });

  test('ends with DELETE', async () => {
    const [member] = await pods(1);
    const url = member?.url ?? '';
    const id = await initialize(url);
    expect((await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })).status).toBe(200);
    expect((await post(url, CALL, { 'mcp-session-id': id })).status).toBe(404);
  });
});

test('a stream is resumed by the caller that it was given to, and by nobody else', async () => {
  const server = await scriptedServer((seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(
      `id: secret-event\ndata: {"jsonrpc":"2.0","id":1,"result":{"resumed":${JSON.stringify(seen.headers['last-event-id'] ?? null)}}}\n\n`,
    );
  });
  stopping.push(server.stop);
  const rules = bundle({ authentication: { type: 'Guard', apiKeys: true } });
  const guard = await runGuard({ upstream: server.url, bundle: rules, apiKeys: { one: 'key-one', two: 'key-two' } });
  stopping.push(guard.stop);
  const first = await (await post(guard.url, { ...CALL, id: 1 }, { 'x-api-key': 'key-one' })).text();
  const id = /^id: (.+)$/m.exec(first)?.[1] ?? '';
  expect(id).not.toContain('secret-event');
  const resume = async (key: string): Promise<string> =>
    (await fetch(guard.url, { headers: { accept: 'text/event-stream', 'x-api-key': key, 'last-event-id': id } })).text();
  expect(await resume('key-one')).toContain('"resumed":"secret-event"');
  expect(await resume('key-two')).toContain('"resumed":null');
});

test('callers without a name have rates of their own by their addresses, also when their requests are handed over', async () => {
  const rate = { name: 'calls', per: 'Caller', requests: 1, windowMs: 3_600_000, burst: 1, tools: ['*'] } as const;
  const [first, second] = await pods(2, bundle({ policies: [policy({ limits: { rate: [rate], concurrency: {} } })] }));
  await eventually(async () => (await fetch(`http://${first?.address}:${first?.guard.ports.admin}/readyz`)).ok, 'the server was listed');
  const session = await initialize(first?.url ?? '');
  const passes = async (from: string, through: Pod | undefined, more: Record<string, string> = {}): Promise<boolean> => {
    const headers = { ...HEADERS, 'mcp-session-id': session, ...more };
    const request = httpRequest(through?.url ?? '', { method: 'POST', localAddress: from, agent: false, headers });
    request.end(JSON.stringify(CALL));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = await text(response);
    expect(answer).toMatch(/simple text|RATE_LIMITED/);
    return !answer.includes('RATE_LIMITED');
  };
  expect(await passes('127.0.0.8', second)).toBe(true);
  expect(await passes('127.0.0.9', second)).toBe(true);
  expect(await passes('127.0.0.9', first)).toBe(false);
  // Whoever writes the marker of a hand-over has nobody's word for an address.
  const strange = hopMarker(new Sealer(() => [randomSealingKey()]), '127.0.0.10', Date.now());
  for (const marker of ['127.0.0.10', strange]) expect(await passes('127.0.0.9', first, { [HOP_HEADER]: marker })).toBe(false);
});

test('the marker of a hand-over gives the address that a guard of this server sealed within the last minute', () => {
  const sealer = new Sealer(() => [randomSealingKey()]);
  const key = randomSealingKey();
  const ours = new Sealer(() => [key]);
  const marker = hopMarker(ours, '127.0.0.10', 1_000_000);
  expect([hopSource(ours, marker, 1_060_000), hopSource(ours, marker, 940_000)]).toEqual(['127.0.0.10', '127.0.0.10']);
  expect([hopSource(ours, marker, 1_060_001), hopSource(ours, marker, 939_999)]).toEqual([undefined, undefined]);
  expect([hopSource(sealer, marker, 1_000_000), hopSource(ours, '1', 1_000_000), hopSource(ours, undefined, 1_000_000)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(hopSource(ours, hopMarker(ours, undefined, 0), 0)).toBe(undefined);
});

test('a task and a request state belong to the caller that they were given to', async () => {
  const server = await scriptedServer(
    (seen, response) => {
      const { id, params } = JSON.parse(seen.body.toString()) as {
        id: unknown;
        params: { name?: string; taskId?: string; requestState?: string };
      };
      const task = { taskId: 'task-1', status: 'working' };
      const result =
        rpcMethod(seen) === 'tasks/list'
          ? { tasks: [task, { taskId: 'task-of-somebody' }] }
          : rpcMethod(seen) === 'tasks/get'
            ? { ...task, got: params.taskId }
            : params.name === 'slow'
              ? { task }
              : { resultType: 'input_required', requestState: 'state-1', got: params.requestState ?? null };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    },
    { tools: [tool('slow'), tool('asking')] },
  );
  stopping.push(server.stop);
  const rules = bundle({ authentication: { type: 'Guard', apiKeys: true } });
  const guard = await runGuard({ upstream: server.url, bundle: rules, apiKeys: { one: 'key-one', two: 'key-two' } });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  type Result = { task?: { taskId: string }; taskId?: string; got?: string; requestState?: string; tasks?: { taskId: string }[] };
  const rpc = async (
    key: string,
    method: string,
    params: object,
    headers: Record<string, string> = {},
  ): Promise<{ result?: Result; error?: { message: string } }> =>
    (await (await post(guard.url, { jsonrpc: '2.0', id: 1, method, params }, { 'x-api-key': key, ...headers })).json()) as never;

  const created = await rpc('key-one', 'tools/call', { name: 'slow', arguments: {}, task: {} });
  const taskId = created.result?.task?.taskId ?? '';
  expect(taskId).not.toBe('task-1');
  const fetched = await rpc('key-one', 'tasks/get', { taskId });
  expect(fetched.result).toMatchObject({ got: 'task-1', taskId });
  for (const [key, id] of [
    ['key-two', taskId],
    ['key-one', 'task-1'],
    ['key-one', `${taskId}x`],
  ] as const) {
    expect((await rpc(key, 'tasks/get', { taskId: id })).error).toEqual({ code: -32602, message: 'Task not found' });
  }
  expect((await rpc('key-one', 'tasks/list', {})).result?.tasks?.map((task) => task.taskId)).toEqual([taskId]);
  expect((await rpc('key-two', 'tasks/list', {})).result?.tasks).toEqual([]);

  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'asking' };
  const params = { name: 'asking', arguments: {}, _meta: meta };
  const requestState = (await rpc('key-one', 'tools/call', params, headers)).result?.requestState;
  expect(requestState).not.toBe('state-1');
  expect((await rpc('key-one', 'tools/call', { ...params, requestState }, headers)).result?.got).toBe('state-1');
  expect((await rpc('key-two', 'tools/call', { ...params, requestState }, headers)).error?.message).toContain('requestState is not valid');
  const elsewhere = { ...params, name: 'slow', requestState };
  expect((await rpc('key-one', 'tools/call', elsewhere, { ...headers, 'mcp-name': 'slow' })).error?.message).toContain('requestState');
});
