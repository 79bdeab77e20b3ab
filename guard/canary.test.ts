import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rule } from '../mcp/policy/bundle.ts';
import { bundle, policy } from './testing/bundle.ts';
import type { Collector } from './testing/collector.ts';
import { runCollector } from './testing/collector.ts';
import type { Program } from './testing/program.ts';
import { runProgram } from './testing/program.ts';
import { eventually } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { rpcMethod, scriptedServer, tool } from './testing/scripted.ts';

/**
 * Secrets are planted wherever callers, servers and operators put some; then real traffic runs through the real process, and everything
 * that comes out of it is searched: audit records, log at its most talkative, spans, metrics, admin pages, and the guard's own answers.
 */

/** Every secret begins with it. Names of objects and clients are no secrets: audit records are about them. */
const CANARY = 'cAnArY';
const secret = (what: string): string => `${CANARY}-${what}`;

const DENIED: Rule = {
  name: 'not-there',
  effect: 'Deny',
  tools: ['ruled'],
  arguments: [{ path: '/place', operator: 'In', values: [secret('rule')] }],
};

let directory: string;
let collector: Collector;
let server: ScriptedServer;
let guard: Program;
/** What the guard answered itself, head and body. */
const answers: string[] = [];
/** What it passed on: the server's words, secrets of the caller's own. */
const passed: string[] = [];

function secretFiles(name: string, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(directory, name));
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'canary-'));
  collector = await runCollector();
  server = await scriptedServer(
    (seen, response) => {
      const { id, params } = JSON.parse(seen.body.toString() || '{}') as { id?: unknown; params?: { name?: string } };
      const json = (body: object, status = 200): void => {
        response.writeHead(status, {
          'content-type': 'application/json',
          'x-secret': secret('header-of-server'),
          'set-cookie': secret('cookie-of-server'),
        });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
      };
      if (rpcMethod(seen) === 'initialize') {
        response.setHeader('mcp-session-id', secret('session-of-server'));
        json({
          result: {
            protocolVersion: '2025-11-25',
            capabilities: {},
            serverInfo: { name: 's', version: '1' },
            instructions: secret('instructions'),
          },
        });
      } else if (params?.name === 'fails') json({ error: { code: -32000, message: secret('error'), data: secret('data') } });
      else if (params?.name === 'breaks') json({}, 500);
      else if (params?.name === 'dies') {
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' })
          .write(`{"result":"${secret('half')}`, () => response.destroy());
      } else if (params?.name === 'streams') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          `id: ${secret('event-id')}\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${secret('notification')}"}}\n\n`,
        );
        response.end(
          `data: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"${secret('event')}"}]}}\n\n`,
        );
      } else json({ result: { content: [{ type: 'text', text: secret('result') }], _meta: { token: secret('result-meta') } } });
    },
    { tools: ['works', 'fails', 'breaks', 'dies', 'streams', 'ruled'].map((name) => tool(name, { readOnlyHint: true })) },
  );
  guard = await runProgram({
    upstream: `${server.url}?key=${secret('upstream-query')}`,
    bundle: bundle({
      authentication: { type: 'Guard', apiKeys: true },
      policies: [policy({ rules: [DENIED], limits: { rate: [], concurrency: {}, maxRequestBytes: 10_000 } })],
    }),
    flags: Object.entries({
      'log-level': 'debug',
      'otlp-endpoint': collector.url,
      'api-keys': secretFiles('keys', { alice: secret('api-key') }),
      'sealing-keys': secretFiles('seals', { current: secret('sealing-key-of-thirty-two-bytes-or-more') }),
      'upstream-headers': secretFiles('headers', { 'x-upstream': secret('upstream-header') }),
      'verification-headers': secretFiles('verification', { authorization: `Bearer ${secret('verification-header')}` }),
    }).map(([name, value]) => `--${name}=${value}`),
    environment: { DATABASE_PASSWORD: secret('environment'), MCP_FLEET_GUARD_TOKEN: secret('environment-of-ours') },
  });
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  await traffic();
}, 60_000);

afterAll(async () => {
  guard.remove();
  await server.stop();
  await collector.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function send(
  into: string[],
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  path = '/mcp',
  method = 'POST',
): Promise<Response | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${guard.ports.data}${path}`, {
      method,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
    });
    into.push(JSON.stringify([...response.headers]), await response.text());
    return response;
  } catch {
    return undefined;
  }
}

const call = (name: string, args: object = { password: secret('argument'), [secret('argument-name')]: 1 }): object => ({
  jsonrpc: '2.0',
  id: secret('request-id'),
  method: 'tools/call',
  params: { name, arguments: args, _meta: { progressToken: secret('progress-token'), secret: secret('meta') } },
});

async function traffic(): Promise<void> {
  const good = {
    'x-api-key': secret('api-key'),
    cookie: secret('cookie'),
    baggage: `k=${secret('baggage')}`,
    tracestate: `k=${secret('tracestate')}`,
  };
  const begun = await send(
    passed,
    {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: secret('client-version') } },
    },
    good,
  );
  const session = begun?.headers.get('mcp-session-id') ?? '';
  for (const name of ['works', 'fails', 'breaks', 'dies', 'streams']) {
    await send(passed, call(name), { ...good, 'mcp-session-id': session }, `/mcp?token=${secret('query')}`);
  }
  // Refused: by credential, by session, by policy, by shape.
  await send(answers, call('works'), { authorization: `Bearer ${secret('bad-token')}` });
  await send(answers, call('works'), { authorization: `Basic ${secret('basic')}` });
  await send(answers, call('works'), {
    authorization: `Bearer eyJhbGciOiJub25lIn0.${Buffer.from(`{"iss":"${secret('claim')}"}`).toString('base64url')}.`,
  });
  await send(answers, call('works'), { 'x-api-key': secret('bad-key') });
  const known = { 'x-api-key': secret('api-key') };
  await send(answers, { ...call('works'), id: 1 }, { ...known, 'mcp-session-id': secret('forged-session') });
  await send(answers, { ...call('ruled', { place: secret('rule'), other: secret('argument') }), id: 2 }, known);
  await send(answers, { ...call('unknown'), id: 3 }, known);
  await send(answers, { jsonrpc: '2.0', id: 4, method: 'tasks/get', params: { taskId: secret('task') } }, known);
  await send(answers, { jsonrpc: '2.0', id: 5, method: 'vendor/x', params: { x: secret('parameter') } }, known);
  await send(answers, `{"jsonrpc":"2.0","id":1,"x":"${secret('broken-json')}`, known);
  await send(answers, `{"${secret('key')}":1,"${secret('key')}":2}`, known);
  await send(answers, JSON.stringify({ ...call('works'), id: 6, pad: secret('large').repeat(2_000) }), known);
  await send(answers, call('works'), { ...known, 'content-type': secret('type') });
  await send(answers, call('works'), { ...known, origin: `https://${secret('origin').toLowerCase()}.example` });
  await send(answers, '', { ...known, 'last-event-id': secret('last-event'), 'mcp-session-id': secret('forged-session') }, '/mcp', 'GET');
  await send(answers, '', known, `/.well-known/${secret('path')}?x=${secret('query')}`, 'GET');
  await send(answers, '', known, `/${secret('path')}`, 'GET');
  await send(answers, { jsonrpc: '2.0', id: secret('answer-id'), result: { token: secret('answer') } }, known);
}

describe('a planted secret is not', () => {
  const admin = async (page: string): Promise<string> => (await fetch(`http://127.0.0.1:${guard.ports.admin}${page}`)).text();

  test('in what the guard answers itself', () => {
    expect(answers.length).toBeGreaterThan(30);
    // JSON-RPC wants the id back.
    expect(found(answers.join('\n').replaceAll(`"id":"${secret('request-id')}"`, ''))).toEqual([]);
  });
  test.each(['/status', '/inventory', '/readyz', '/upstream', '/healthz'])('on the admin page %s', async (page) => {
    expect(found(await admin(page))).toEqual([]);
  });
  test('in metrics', async () => {
    const text = await (await fetch(`http://127.0.0.1:${guard.ports.metrics}/metrics`)).text();
    expect(text).toContain('mcp_fleet_guard_decisions_total{');
    expect(found(text)).toEqual([]);
  });
  test('among what the server gets of a credential', () => {
    const heads = server
      .calls()
      .map(({ rawHeaders }) => rawHeaders.join(' '))
      .join('\n');
    expect(heads).toContain(secret('upstream-header'));
    for (const mine of ['api-key', 'cookie', 'bad-token', 'basic', 'bad-key', 'verification-header'])
      expect(heads).not.toContain(secret(mine));
  });
  test('in the audit log, the process log or a span, to the very end', async () => {
    const exited = once(guard.child, 'close');
    guard.child.kill('SIGTERM');
    await exited;
    expect(guard.stdout().split('\n').length).toBeGreaterThan(20);
    expect(guard.stderr()).toContain('"level":"debug"');
    expect(collector.spans.length).toBeGreaterThan(20);
    expect(found(guard.stdout())).toEqual([]);
    expect(found(guard.stderr())).toEqual([]);
    expect(found(collector.text())).toEqual([]);
  });
});

test('while what passes through does pass', () => {
  expect(passed.join('\n')).toContain(secret('result'));
  expect(passed.join('\n')).toContain(secret('event'));
  expect(passed.join('\n')).not.toContain(secret('session-of-server'));
});

/** The secrets in a text, as they are, in base64, in other letter cases. */
function found(text: string): readonly string[] {
  const plain = [...text.matchAll(new RegExp(`.{0,60}${CANARY}[-a-z]*`, 'gi'))].map(([match]) => match);
  const coded = [Buffer.from(CANARY).toString('base64').slice(0, 7), Buffer.from(`x${CANARY}`).toString('base64').slice(2, 9)].filter(
    (code) => text.includes(code),
  );
  return [...plain, ...coded];
}
