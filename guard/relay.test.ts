import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bundle } from '../mcp/policy/bundle.ts';
import { bundle, policy } from './testing/bundle.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { Script, ScriptedServer } from './testing/scripted.ts';
import { scriptedServer } from './testing/scripted.ts';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop();
});

async function between(script: Script, flags: readonly string[] = []): Promise<{ server: ScriptedServer; guard: RunningGuard }> {
  const server = await scriptedServer(script);
  running.push(server);
  const guard = await runGuard({ upstream: server.url, flags });
  running.push(guard);
  return { server, guard };
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

function post(url: string, body: string | Buffer, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { ...HEADERS, ...headers },
    body: new Uint8Array(Buffer.from(body)),
    ...(signal === undefined ? {} : { signal }),
  });
}

const MIB = 1024 * 1024;
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}';
const answerJson: Script = (_seen, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
};

describe('bytes', () => {
  test('of a request and its JSON answer arrive as they were sent', async () => {
    const answer = Buffer.from(
      ' {"id":1,"jsonrpc":"2.0","result":{"b":1.0,"a":9007199254740993,"z":"\\u00e9é","nested":{"10":1,"2":2}}}\n',
    );
    const { server, guard } = await between((_seen, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length, 'X-Custom': 'Kept' });
      response.end(answer);
    });
    const body = ' {"jsonrpc":"2.0", "id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1.0,"big":12345678901234567890}}}';
    const response = await post(`${guard.url}?q=1`, body);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(answer);
    expect(response.headers.get('x-custom')).toBe('Kept');
    const [seen] = server.calls();
    expect(seen?.body.toString()).toBe(body);
    expect(seen?.url).toBe('/mcp?q=1');
  });

  test('of event streams are equal for any bytes in any chunks', async () => {
    let chunks: readonly Buffer[] = [];
    const { guard } = await between(async (_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const chunk of chunks) {
        response.write(chunk);
        await new Promise(setImmediate);
      }
      response.end();
    });
    const line = fc.oneof(
      fc.constantFrom('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"x":1.0}}', ': comment', '', 'data', 'retry: 5'),
      fc.constantFrom('event: message', 'id: 7', 'data:{"jsonrpc":"2.0","id":1,"result":{"ü":"é✓𝄞"}}', 'id:', 'data: not json'),
    );
    const stream = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 12 })
      .map((lines) => Buffer.from(lines.flat().join('')));
    await fc.assert(
      fc.asyncProperty(stream, fc.array(fc.nat(40), { maxLength: 20 }), async (bytes, cuts) => {
        const pieces: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        chunks = [...pieces, bytes.subarray(at)].filter((piece) => piece.length > 0);
        const response = await post(guard.url, CALL);
        expect(Buffer.from(await response.arrayBuffer()).toString()).toBe(bytes.toString());
      }),
      { numRuns: 60 },
    );
  });

  test('of an event are flushed at once, before the stream ends', async () => {
    let finish = (): void => undefined;
    const { guard } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n');
      finish = () => response.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
    });
    const response = await post(guard.url, CALL);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).toString()).toContain('notifications/progress');
    finish();
    const second = await reader?.read();
    expect(Buffer.from(second?.value ?? []).toString()).toContain('"result"');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
  });
});

describe('headers', () => {
  test('of one connection, of the caller’s origin and of our own stay behind; Host is what the server accepts', async () => {
    const { server, guard } = await between(answerJson);
    await post(guard.url, CALL, {
      origin: 'http://localhost:9',
      'x-mcp-fleet-user': 'root',
      authorization: 'Bearer secret',
      'x-api-key': 'secret',
      cookie: 'secret',
      'x-passed': 'yes',
    });
    const headers = server.calls()[0]?.headers ?? {};
    expect(headers).toMatchObject({
      'x-passed': 'yes',
      'accept-encoding': 'identity',
      host: new URL(server.url).host.replace('127.0.0.1', 'localhost'),
    });
    for (const name of ['origin', 'x-mcp-fleet-user', 'authorization', 'x-api-key', 'cookie']) expect(headers[name]).toBeUndefined();
  });

  test.each([
    ['a page of this machine passes', 'http://localhost:3000', 200],
    ['a page of one of our hosts passes', 'https://test.agents.svc.cluster.local', 200],
    ['a page of somewhere else does not', 'https://evil.example', 403],
    ['a sandboxed page does not', 'null', 403],
  ])('%s', async (_what, origin, status) => {
    const { guard } = await between(answerJson);
    const response = await post(guard.url, CALL, { origin });
    expect(response.status).toBe(status);
  });

  test('a preflight of an allowed page is answered, of another refused', async () => {
    const { guard, server } = await between(answerJson);
    const ask = (origin: string): Promise<Response> =>
      fetch(guard.url, { method: 'OPTIONS', headers: { origin, 'access-control-request-headers': 'mcp-session-id' } });
    const allowed = await ask('http://localhost:1');
    expect([allowed.status, allowed.headers.get('access-control-allow-headers')]).toEqual([204, 'mcp-session-id']);
    expect((await ask('https://evil.example')).status).toBe(403);
    expect(server.calls()).toHaveLength(0);
  });
});

describe('a server that fails', () => {
  test('refusing connections gives 502 with a JSON-RPC error of the request’s id', async () => {
    const { guard, server } = await between(answerJson);
    await server.stop();
    running.splice(running.indexOf(server), 1);
    const response = await post(guard.url, CALL.replace('"id":1', '"id":"a"'));
    expect(response.status).toBe(502);
    expect(await response.json()).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      error: { code: 502, message: expect.stringMatching(/^Upstream: /) as string },
    });
  });

  test('closing without an answer gives 502', async () => {
    const { guard } = await between((_seen, response) => {
      response.destroy();
    });
    const response = await post(guard.url, CALL);
    expect([response.status, ((await response.json()) as { error: { message: string } }).error.message]).toEqual([
      502,
      'Upstream: the server closed the connection before it answered',
    ]);
  });

  test('breaking off in the middle of a stream breaks off the caller’s', async () => {
    const { guard } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': hello\n\n');
      setImmediate(() => response.destroy());
    });
    const response = await post(guard.url, CALL);
    await expect(response.text()).rejects.toThrow();
  });
});

describe('a caller that goes away', () => {
  const modern = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'x',
      arguments: {},
      _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} },
    },
  });
  const modernHeaders = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'x' };

  test.each([
    ['legacy: the call goes on', CALL, {}, false],
    ['modern: the call is cancelled at once', modern, modernHeaders, true],
  ])('%s', async (_what, body, headers, cancelled) => {
    let closed = false;
    let finish = (): void => undefined;
    const { guard, server } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': working\n\n');
      response.on('close', () => {
        closed = !response.writableEnded;
      });
      finish = () => response.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
    });
    const abort = new AbortController();
    const response = await post(guard.url, body, headers, abort.signal);
    await response.body?.getReader().read();
    abort.abort();
    if (cancelled) {
      await eventually(() => closed, 'the server saw the disconnect');
    } else {
      await eventually(() => server.calls().length === 1, 'the call arrived');
      finish();
      await eventually(async () => (await guard.audit()).some((record) => record['method'] === 'tools/call'), 'the call was closed');
      expect(closed).toBe(false);
    }
    await eventually(async () => (await guard.audit()).filter((record) => record['method'] === 'tools/call').length === 1, 'one record');
  });
});

describe('limits', () => {
  const limited = (limits: object): Bundle => bundle({ policies: [policy({ limits: { rate: [], concurrency: {}, ...limits } })] });
  const rpcError = (text: string): unknown =>
    (JSON.parse(/\{"jsonrpc".*\}/.exec(text)?.[0] ?? '{}') as { error?: { code: number } }).error?.code;

  test.each([
    ['before it answered: 504 with a JSON-RPC error', false, 504],
    ['in the middle of a stream: a last event with the error, and a clean end', true, 200],
  ])('a server that takes too long is given up %s', async (_what, streaming, status) => {
    let aborted = false;
    const { guard } = await between((_seen, response) => {
      response.on('close', () => (aborted = true));
      if (!streaming) return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': working\n\n');
    });
    guard.write(limited({ callTimeoutMs: 100 }));
    await eventually(() => guard.logText().split('put a bundle in force').length === 3, 'the limit holds');
    const response = await post(guard.url, CALL.replace('tools/call', 'ping'));
    expect([response.status, rpcError(await response.text())]).toEqual([status, 504]);
    await eventually(() => aborted, 'the server was told');
  });

  test.each([
    ['a body', 'application/json', (size: number) => `{"jsonrpc":"2.0","id":1,"result":{"x":"${'x'.repeat(size)}"}}`],
    ['an event', 'text/event-stream', (size: number) => `data: {"jsonrpc":"2.0","id":1,"result":{"x":"${'x'.repeat(size)}"}}\n\n`],
  ])('%s that is too large does not reach the caller', async (_what, type, make) => {
    const { guard } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': type });
      response.end(make(5_000));
    });
    const list = CALL.replace('tools/call', 'tools/list');
    guard.write(limited({ maxResponseBytes: 1_000 }));
    await eventually(async () => (await (await post(guard.url, list)).text()).includes('exceeds 1000 bytes'), 'the limit holds');
    expect((await (await post(guard.url, list)).text()).length).toBeLessThan(1_000);
  });

  test('a stream is ended cleanly when the guard drains', async () => {
    const { guard } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': open\n\n');
    });
    const stream = await fetch(guard.url, { headers: { accept: 'text/event-stream' } });
    guard.guard.drain();
    expect(await stream.text()).toBe(': open\n\n');
  });

  test('a slow caller pauses the server instead of filling memory', async () => {
    let sent = 0;
    const block = Buffer.from(`data: ${'x'.repeat(65_000)}\n\n`);
    const { guard } = await between((_seen, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const push = (): void => {
        while (sent < 64 * 1024 * 1024 && response.write(block)) sent += block.length;
        if (sent < 64 * 1024 * 1024) response.once('drain', push);
        else response.end();
      };
      push();
    });
    const abort = new AbortController();
    const response = await post(guard.url, CALL, {}, abort.signal);
    await response.body?.getReader().read();
    let last = -1;
    await eventually(async () => {
      const stable = sent === last;
      last = sent;
      await new Promise((resolve) => {
        setTimeout(resolve, 60);
      });
      return stable;
    }, 'the server was paused');
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    abort.abort();
  });

  test('a body that is too large is refused unread', async () => {
    const { guard, server } = await between(answerJson);
    const response = await post(guard.url, Buffer.alloc(5 * 1024 * 1024, 0x20));
    expect(response.status).toBe(413);
    expect(server.calls()).toHaveLength(0);
  });
});

test('bodies that never end leave room for small ones, and give theirs back', async () => {
  const { guard, server } = await between(answerJson);
  const { hostname, port } = new URL(guard.url);
  const hold = async (): Promise<Socket> => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(`POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${4 * MIB}\r\n\r\n`);
    await new Promise((resolve) => socket.write(Buffer.alloc(4 * MIB - 1, 0x20), resolve));
    return socket;
  };
  const held = await Promise.all(Array.from({ length: 16 }, hold));
  const large = CALL.replace('{', `{${' '.repeat(MIB)}`);
  await eventually(async () => {
    const full = (await post(guard.url, large)).status === 503;
    // Several may have been refused at once, and so have left more room than the last one needed.
    if (!full) held.push(await hold());
    return full;
  }, 'no room is left');
  expect((await post(guard.url, CALL)).status).toBe(200);
  for (const socket of held) socket.destroy();
  await eventually(async () => (await post(guard.url, large)).status === 200, 'the room is given back');
  expect(server.calls('tools/call').length).toBeGreaterThanOrEqual(2);
}, 60_000);

test('draining refuses new sessions, lets calls finish, and ends when they have', async () => {
  let finish = (): void => undefined;
  const { guard } = await between((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    finish = () => response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  const pending = post(guard.url, CALL);
  await eventually(() => finish.toString() !== '() => undefined', 'the call arrived');
  guard.guard.drain();
  const drained = fetch(`http://127.0.0.1:${guard.ports.admin}/drained`);
  const refused = await post(guard.url, '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  finish();
  expect((await pending).status).toBe(200);
  expect((await drained).status).toBe(200);
});

test('without a valid bundle everybody is refused; a bad bundle changes nothing', async () => {
  const { guard, server } = await between(answerJson);
  guard.write('{"version":1}');
  await eventually(() => guard.logText().includes('refused a file'), 'the bundle was refused');
  expect((await post(guard.url, CALL)).status).toBe(200);
  const status = (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/status`)).json()) as { rejections: unknown[] };
  expect(status.rejections).toHaveLength(1);
  guard.write(bundle());
  await eventually(async () => {
    const now = (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/status`)).json()) as { rejections: unknown[] };
    return now.rejections.length === 0;
  }, 'the good bundle was taken');

  const blind = await runGuard({ upstream: server.url, flags: ['--bundle', join(guard.directory, 'missing.json')] });
  running.push(blind);
  const refused = await post(blind.url, CALL);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
});
