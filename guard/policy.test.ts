import { afterEach, describe, expect, test } from 'vitest';
import type { Policy } from '../mcp/policy/bundle.ts';
import { bundle, policy, READ_ONLY } from './testing/bundle.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { Script, ScriptedServer } from './testing/scripted.ts';
import { rpcMethod, scriptedServer, tool } from './testing/scripted.ts';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop();
});

const TOOLS = [
  tool('read', { readOnlyHint: true }),
  tool('write', { readOnlyHint: false }),
  tool('plain'),
  { ...tool('numbers', { readOnlyHint: true }), 'x-vendor': { big: 1, list: [1, 2] } },
];

/** A list as a server might write it: odd spacing, numbers that a reader would change, an unknown field. */
const LIST_TEXT = `{"jsonrpc":"2.0","id":1, "result" : {"tools":[ ${TOOLS.map((entry) => JSON.stringify(entry).replace('"big":1', '"big":1.0')).join(' , ')} ],"unknown":9007199254740993}}`;

const answering: Script = (seen, response) => {
  if (rpcMethod(seen) === 'tools/list') {
    if (seen.headers['x-want'] === 'events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`: hi\n\nid: 1\nevent: message\ndata: ${LIST_TEXT}\n\n`);
    } else {
      response.writeHead(200, { 'content-type': 'application/json', etag: '"x"', 'content-length': Buffer.byteLength(LIST_TEXT) });
      response.end(LIST_TEXT);
    }
    return;
  }
  const { id } = JSON.parse(seen.body.toString()) as { id: unknown };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } }));
};

async function guarded(policies: readonly Policy[], script: Script = answering): Promise<{ server: ScriptedServer; guard: RunningGuard }> {
  const lists = { tools: TOOLS, prompts: [{ name: 'hello' }], resources: [{ uri: 'file:///a' }, { uri: 'file:///b' }] };
  const server = await scriptedServer(script, lists);
  running.push(server);
  const guard = await runGuard({ upstream: server.url, bundle: bundle({ policies }) });
  running.push(guard);
  await eventually(async () => {
    const inventory = (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/inventory`)).json()) as { tools: unknown[] };
    return inventory.tools.length === TOOLS.length;
  }, 'the server was listed');
  return { server, guard };
}

async function rpc(guard: RunningGuard, method: string, params: object = {}, headers: Record<string, string> = {}, id: unknown = 1) {
  const response = await fetch(guard.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers, body: (text.startsWith('{') ? JSON.parse(text) : undefined) as Body };
}

interface Body {
  readonly error?: { readonly code: number; readonly message: string };
  readonly result?: {
    readonly isError?: boolean;
    readonly resultType?: string;
    readonly content?: readonly { readonly text: string }[];
    readonly tools?: readonly { readonly name: string }[];
    readonly _meta?: { readonly 'mcp-fleet.dev/denied': Record<string, unknown> };
  };
}

const call = (guard: RunningGuard, name: string, args: object = {}, id: unknown = 1) =>
  rpc(guard, 'tools/call', { name, arguments: args }, {}, id);

describe('read-only', () => {
  test('hides writing tools from the list and keeps every byte of the others', async () => {
    const { guard } = await guarded([READ_ONLY]);
    const { text, headers } = await rpc(guard, 'tools/list');
    const items = LIST_TEXT.slice(LIST_TEXT.indexOf('[ ') + 2, LIST_TEXT.lastIndexOf(' ]')).split(' , ');
    expect(text).toBe(LIST_TEXT.replace(/"tools":\[.*\],"unknown"/, `"tools":[${items[0]},${items[3]}],"unknown"`));
    expect(text).toContain('"big":1.0');
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
    expect(headers.get('etag')).toBeNull();
  });

  test('hides them in an event stream too, with the event’s other lines as they were', async () => {
    const { guard } = await guarded([READ_ONLY]);
    const { text } = await rpc(guard, 'tools/list', {}, { 'x-want': 'events' });
    expect(text).toMatch(/^: hi\n\nid: 1\nevent: message\ndata: \{/);
    expect(text).not.toContain('"write"');
    expect(text).toContain('"numbers"');
  });

  test('lets reading through and never shows a writing call to the server', async () => {
    const { guard, server } = await guarded([READ_ONLY]);
    expect((await call(guard, 'read')).body.result?.content?.[0]?.text).toBe('done');
    for (const name of ['write', 'plain', 'nothing']) {
      expect((await call(guard, name)).body.error).toEqual({ code: -32602, message: `Unknown tool: ${name}` });
    }
    expect(
      server.calls('tools/call').map((seen) => (JSON.parse(seen.body.toString()) as { params: { name: string } }).params.name),
    ).toEqual(['read']);
  });

  test('answers for hidden and for missing tools are equal byte for byte', async () => {
    const { guard } = await guarded([READ_ONLY]);
    const hidden = await call(guard, 'write');
    const missing = await call(guard, 'wrote');
    expect(hidden.text.replace('write', 'X')).toBe(missing.text.replace('wrote', 'X'));
    const fields = (headers: Headers): string[] => [...headers].filter(([name]) => name !== 'date').map((field) => field.join(':'));
    expect(fields(hidden.headers)).toEqual(fields(missing.headers));
    expect(hidden.status).toBe(missing.status);
  });
});

describe('a visible tool', () => {
  const limited = policy({
    defaultAction: 'Deny',
    rules: [
      {
        name: 'staging',
        effect: 'Allow',
        tools: ['*'],
        arguments: [{ path: '/ns', operator: 'In', values: ['staging'] }],
        message: 'Only staging.',
      },
    ],
  });

  test('refused for its arguments gets a result that the model can read', async () => {
    const { guard, server } = await guarded([limited]);
    const { status, body } = await call(guard, 'write', { ns: 'prod' }, 'abc');
    expect(status).toBe(200);
    expect(body.result?.isError).toBe(true);
    expect(body.result?.resultType).toBeUndefined();
    expect(body.result?._meta?.['mcp-fleet.dev/denied']).toMatchObject({
      code: 'ARGUMENT',
      policy: 'agents/policy',
      requestId: expect.any(String) as string,
    });
    expect(server.calls('tools/call')).toHaveLength(0);
    expect((await call(guard, 'write', { ns: 'staging' })).body.result?.content?.[0]?.text).toBe('done');
  });

  test('refused in the modern era carries resultType', async () => {
    const { guard } = await guarded([limited]);
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'write' };
    const { body } = await rpc(guard, 'tools/call', { name: 'write', arguments: { ns: 'prod' }, _meta: meta }, headers);
    expect(body.result).toMatchObject({ isError: true, resultType: 'complete' });
  });

  test('beyond its rate is refused with the time after which a retry can succeed', async () => {
    const { guard } = await guarded([
      policy({
        limits: { rate: [{ name: 'slow', per: 'Caller', requests: 1, windowMs: 60_000, burst: 1, tools: ['*'] }], concurrency: {} },
      }),
    ]);
    expect((await call(guard, 'read')).body.result?.isError).toBeUndefined();
    const denied = (await call(guard, 'read')).body.result?._meta?.['mcp-fleet.dev/denied'];
    expect(denied).toMatchObject({ code: 'RATE_LIMITED' });
    expect(denied?.['retryAfterMs']).toBeGreaterThan(50_000);
  });
});

describe('other methods', () => {
  test.each([
    ['legacy', {}, {}, 200],
    [
      'modern',
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'vendor/x' },
      { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } },
      404,
    ],
  ])('an unknown one is refused as %s asks', async (_era, headers, params, status) => {
    const { guard, server } = await guarded([policy()]);
    const answer = await rpc(guard, 'vendor/x', params, headers);
    expect([answer.status, answer.body.error]).toEqual([status, { code: -32601, message: 'Method not found: vendor/x' }]);
    expect(server.calls()).toHaveLength(0);
  });

  test('a resource that is hidden is not found, and a completion does not tell of a hidden prompt', async () => {
    const { guard, server } = await guarded([
      policy({ defaultAction: 'Deny', rules: [{ name: 'a', effect: 'Allow', resources: ['file:///a'], arguments: [] }] }),
    ]);
    expect((await rpc(guard, 'resources/read', { uri: 'file:///b' })).body.error).toEqual({
      code: -32602,
      message: 'Resource not found: file:///b',
      data: { uri: 'file:///b' },
    });
    expect((await rpc(guard, 'resources/read', { uri: 'file:///a' })).body.result).toBeDefined();
    expect(
      (await rpc(guard, 'completion/complete', { ref: { type: 'ref/prompt', name: 'hello' }, argument: { name: 'x', value: '' } })).body
        .error,
    ).toEqual({
      code: -32602,
      message: 'Unknown prompt: hello',
    });
    expect(server.calls().map(rpcMethod)).toEqual(['resources/read']);
  });
});

describe('what the server asks for', () => {
  const asking: Script = (seen, response) => {
    if (seen.body.includes('"error"') || seen.body.includes('"result"')) {
      response.writeHead(202).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}\n\n');
    response.end('data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n');
  };
  const answer = (guard: RunningGuard, id: unknown): Promise<Response> =>
    fetch(guard.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id, result: { role: 'assistant' } }),
    });

  test('reaches the client where it is allowed, and the answer is taken once', async () => {
    const { guard, server } = await guarded([policy()], asking);
    expect((await call(guard, 'read')).text).toContain('sampling/createMessage');
    expect((await answer(guard, 'other')).status).toBe(400);
    expect((await answer(guard, 'q')).status).toBe(202);
    expect((await answer(guard, 'q')).status).toBe(400);
    expect(server.calls().filter((seen) => seen.body.includes('assistant'))).toHaveLength(1);
  });

  test('is refused in the client’s place where it is not', async () => {
    const methods = { ...policy().methods, serverRequests: { elicitation: 'Allow', sampling: 'Deny', roots: 'Deny' } as const };
    const { guard, server } = await guarded([policy({ methods })], asking);
    const { text } = await call(guard, 'read');
    expect(text).not.toContain('sampling');
    expect(text).toContain('"result"');
    await eventually(() => server.calls().some((seen) => seen.body.includes('"code":403')), 'the server was told');
  });
});

describe('a change of policy', () => {
  test('holds for the next call, without a restart', async () => {
    const { guard } = await guarded([]);
    expect((await call(guard, 'write')).body.result?.isError).toBeUndefined();
    guard.write(bundle({ policies: [READ_ONLY] }));
    await eventually(async () => (await call(guard, 'write')).body.error?.code === -32602, 'the policy holds');
    guard.write(bundle());
    await eventually(async () => (await call(guard, 'write')).body.result !== undefined, 'it is gone');
  });

  test('that changes what a caller sees is told on its open stream; another one is not', async () => {
    const { guard } = await guarded([], (seen, response) => {
      if (seen.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(': open\n\n');
      }
    });
    const abort = new AbortController();
    const stream = await fetch(guard.url, { headers: { accept: 'text/event-stream' }, signal: abort.signal });
    let text = '';
    const reading = (async () => {
      for await (const chunk of stream.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await eventually(() => text.includes('open'), 'the stream is open');
    guard.write(bundle({ policies: [READ_ONLY] }));
    await eventually(() => text.includes('notifications/tools/list_changed'), 'the caller was told');
    expect(text).not.toContain('notifications/prompts/list_changed');
    abort.abort();
    await reading;
  });
});

test('mode Audit changes no byte and records what it would have refused', async () => {
  const audited: Policy = { ...READ_ONLY, mode: 'Audit' };
  const { guard } = await guarded([audited]);
  expect((await rpc(guard, 'tools/list')).text).toBe(LIST_TEXT);
  expect((await call(guard, 'write')).body.result?.content?.[0]?.text).toBe('done');
  expect((await guard.audit()).find((record) => record['method'] === 'tools/call')).toMatchObject({ decision: 'wouldDeny', code: 'CLASS' });
});

test('a tool that changes after it was pinned is caught in the caller’s own list', async () => {
  const changed = { ...tool('read', { readOnlyHint: true }), description: 'now does more' };
  const first = await guarded([]);
  const inventory = (await (await fetch(`http://127.0.0.1:${first.guard.ports.admin}/inventory`)).json()) as { tools: unknown[] };
  expect(inventory.tools).toHaveLength(TOOLS.length);
  const { toolInventory } = await import('../mcp/inventory.ts');
  const pins = { tools: Object.fromEntries(toolInventory(TOOLS as never).tools.map((entry) => [entry.name, [entry.digest]])) };
  const { guard, server } = await guarded([], (seen, response) => {
    const { id } = JSON.parse(seen.body.toString()) as { id: unknown };
    const result = rpcMethod(seen) === 'tools/list' ? { tools: [changed] } : { content: [] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  guard.write(bundle({ policies: [policy({ pinning: 'Block' })], pins }));
  await eventually(async () => (await rpc(guard, 'tools/list')).body.result?.tools?.length === 0, 'the changed tool is hidden');
  const before = server.calls('tools/call').length;
  const { body } = await call(guard, 'read');
  expect(body.result?._meta?.['mcp-fleet.dev/denied']).toMatchObject({ code: 'TOOL_CHANGED' });
  expect(server.calls('tools/call')).toHaveLength(before);
});

test('every request has exactly one closing record, and the chain holds', async () => {
  const { guard } = await guarded([READ_ONLY]);
  const { createHash } = await import('node:crypto');
  await Promise.all([call(guard, 'read'), call(guard, 'write'), rpc(guard, 'tools/list'), rpc(guard, 'vendor/x')]);
  await fetch(guard.url, { method: 'PUT' });
  await eventually(async () => (await guard.audit()).length === 5, 'five records');
  let previous = '';
  for (const line of guard
    .auditText()
    .split('\n')
    .filter((text) => text !== '')) {
    const { audit } = JSON.parse(line) as { audit: { prev: string } };
    expect(audit.prev).toBe(previous);
    previous = `sha256:${createHash('sha256').update(`${line}\n`).digest('hex')}`;
  }
  expect(
    (await guard.audit())
      .map((record) => [record['method'], record['decision'], record['code']].join(' '))
      .toSorted((a, b) => (a < b ? -1 : 1)),
  ).toEqual([
    'PUT deny HTTP_METHOD',
    'tools/call allow ALLOWED',
    'tools/call deny CLASS',
    'tools/list allow ALLOWED',
    'vendor/x deny METHOD',
  ]);
});
