import { once } from 'node:events';
import { Agent, request as send } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Pod } from './testing/pods.ts';
import { freePort, startPod } from './testing/pods.ts';
import { CALL, HEADERS, INITIALIZE, initialize, post } from './testing/requests.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { rpcMethod, scriptedServer } from './testing/scripted.ts';

/** What callers see of a pod that goes, request by request. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

/** Two pods, of which the first knows the second as what its Service leads to. */
async function pods(): Promise<{ leaving: Pod; staying: Pod }> {
  const port = await freePort();
  const staying = await startPod(2, port);
  const leaving = await startPod(1, port, undefined, '0', ['--siblings', staying.url]);
  for (const each of [staying, leaving]) stopping.push(each.server.stop, each.guard.stop);
  return { leaving, staying };
}

const methods = async ({ guard }: Pod): Promise<unknown[]> => (await guard.audit()).map(({ method }) => method);

describe('a new session', () => {
  test('that reaches a pod which leaves begins at a sibling, and works through both', async () => {
    const { leaving, staying } = await pods();
    leaving.guard.guard.leave();
    const id = await initialize(leaving.url);
    for (const { url } of [leaving, staying]) expect((await post(url, CALL, { 'mcp-session-id': id })).status).toBe(200);
    expect(await methods(leaving)).not.toContain('initialize');
    expect((await methods(staying)).filter((method) => method === 'tools/call')).toHaveLength(2);
    leaving.guard.guard.drain();
    expect(await initialize(leaving.url)).not.toBe('');
    expect((await post(leaving.url, CALL, { 'mcp-session-id': id })).status).toBe(200);
  });

  test('begins here after all while the pod only leaves and no sibling can be reached, and is refused once it drains', async () => {
    const { leaving, staying } = await pods();
    stopping.splice(stopping.indexOf(staying.guard.stop), 1);
    await staying.guard.stop();
    leaving.guard.guard.leave();
    const id = await initialize(leaving.url);
    expect((await post(leaving.url, CALL, { 'mcp-session-id': id })).status).toBe(200);
    leaving.guard.guard.drain();
    const refused = await post(leaving.url, INITIALIZE);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
  });

  test('that the Service leads back is not handed over again', async () => {
    const { leaving } = await pods();
    leaving.guard.guard.leave();
    const id = (await post(leaving.url, INITIALIZE, { 'x-mcp-fleet-hop': '1' })).headers.get('mcp-session-id') ?? '';
    expect((await post(leaving.url, CALL, { 'mcp-session-id': id })).status).toBe(200);
    expect(await methods(leaving)).toContain('initialize');
  });

  test('is never sent twice: a sibling that may have seen it is the last to get it', async () => {
    const { url, requests } = await sibling((socket) => socket.destroy());
    const { guard, server } = await scripted(['--siblings', url]);
    guard.guard.leave();
    expect((await post(guard.url, INITIALIZE)).status).toBe(502);
    expect(requests).toEqual(['POST /mcp HTTP/1.1']);
    expect(server.calls('initialize')).toEqual([]);
  });
});

/** What stands in the place of a sibling, down to its bytes. */
async function sibling(answer: (socket: Socket) => void): Promise<{ readonly url: string; readonly requests: readonly string[] }> {
  const requests: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      requests.push(bytes.toString().split('\r\n', 1)[0] ?? '');
      answer(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stopping.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`, requests };
}

describe('a request that is handed over', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{';
  const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
  const MODERN = { ...CALL, params: { ...CALL.params, _meta: META } };
  const HEADERS_OF_MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'test_simple_text' };

  test.each<[string, (socket: Socket) => void]>([
    ['before it answers', (socket) => socket.destroy()],
    ['in the middle of its answer', (socket) => socket.write(HEAD, () => socket.destroy())],
  ])('to a sibling that dies %s leaves its one record here', async (_when, answer) => {
    const { url } = await sibling(answer);
    const { guard } = await scripted(['--siblings', url]);
    guard.guard.leave();
    const broken = await post(guard.url, INITIALIZE);
    await broken.text().catch(() => undefined);
    await eventually(async () => (await guard.audit()).length > 0, 'the record is written');
    expect(await guard.audit()).toMatchObject([
      { method: 'initialize', decision: 'error', code: 'HANDOVER', cause: expect.stringContaining('closed') },
    ]);
    const metrics = await (await fetch(`http://127.0.0.1:${guard.ports.metrics}/metrics`)).text();
    expect(metrics).toMatch(/^mcp_fleet_guard_decisions_total\{[^}]*code="HANDOVER"[^}]*\} 1$/m);
  });

  test('and whose caller leaves before the sibling answers leaves a record here', async () => {
    const { url, requests } = await sibling(() => undefined);
    const { guard } = await scripted(['--siblings', url]);
    guard.guard.drain();
    const leaving = new AbortController();
    const answer = fetch(guard.url, {
      method: 'POST',
      headers: { ...HEADERS, ...HEADERS_OF_MODERN },
      body: JSON.stringify(MODERN),
      signal: leaving.signal,
    });
    await eventually(() => requests.length > 0, 'the sibling has the request');
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await eventually(async () => (await guard.audit()).length > 0, 'the record is written');
    expect(await guard.audit()).toMatchObject([{ method: 'tools/call', code: 'HANDOVER', cause: 'the caller disconnected' }]);
  });

  test('and answered leaves none here, and no memory of its body taken', async () => {
    const other = await scripted();
    const { guard } = await scripted(['--siblings', other.server.url]);
    guard.guard.leave();
    const large = { ...INITIALIZE, params: { ...INITIALIZE.params, _meta: { pad: 'x'.repeat(4_000_000) } } };
    // More than all bodies together may take at once.
    for (let request = 0; request < 18; request += 1) expect((await post(guard.url, large)).status).toBe(200);
    expect(await guard.audit()).toEqual([]);
    expect(other.server.calls('initialize')).toHaveLength(18);
  });
});

async function scripted(flags: readonly string[] = []): Promise<{ server: ScriptedServer; guard: Awaited<ReturnType<typeof runGuard>> }> {
  const server = await scriptedServer((seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: rpcMethod(seen) }] } }));
  });
  stopping.push(server.stop);
  const guard = await runGuard({ upstream: server.url, flags });
  stopping.push(guard.stop);
  return { server, guard };
}

describe('a session of a pod that stays', () => {
  test('goes on through one that has drained', async () => {
    const { leaving, staying } = await pods();
    const id = await initialize(staying.url);
    leaving.guard.guard.drain();
    expect((await post(leaving.url, CALL, { 'mcp-session-id': id })).status).toBe(200);
    const own = await post(leaving.url, CALL, { 'mcp-session-id': 'of nobody' });
    expect(own.status).toBe(404);
  });

  test('has its calls through a draining pod waited for, and its streams ended there', async () => {
    const { leaving, staying } = await pods();
    const id = await initialize(staying.url);
    const stream = await fetch(leaving.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': id } });
    const call = { ...CALL, params: { name: 'test_tool_with_progress', arguments: {}, _meta: { progressToken: 1 } } };
    const running = await post(leaving.url, call, { 'mcp-session-id': id });
    leaving.guard.guard.drain();
    const admin = `http://127.0.0.1:${leaving.guard.ports.admin}`;
    expect(await (await fetch(`${admin}/status`)).json()).toMatchObject({ draining: true, calls: 1 });
    expect(await running.text()).toContain('"result"');
    // Cleanly: a body that breaks off rejects.
    await stream.text();
    expect(await (await fetch(`${admin}/status`)).json()).toMatchObject({ calls: 0 });
  });

  test('has streams ended cleanly that begin through a pod which has drained', async () => {
    const { leaving, staying } = await pods();
    const id = await initialize(staying.url);
    leaving.guard.guard.drain();
    const stream = await fetch(leaving.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': id } });
    expect(stream.status).toBe(200);
    const ended = stream.text();
    stopping.splice(stopping.indexOf(leaving.guard.stop), 1);
    await leaving.guard.stop();
    await expect(ended).resolves.toEqual(expect.any(String));
  });
});

describe('a connection', () => {
  /** One request on the one connection of an agent. */
  async function on(agent: Agent, url: string): Promise<{ readonly port: number | undefined; readonly response: IncomingMessage }> {
    const request = send(url, { agent, method: 'POST', headers: HEADERS });
    request.end(JSON.stringify(CALL));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const port = response.socket.localPort;
    response.resume();
    await once(response, 'end');
    return { port, response };
  }

  test('that is idle when the pod leaves is not closed under the next request, but by its answer', async () => {
    const { guard } = await scripted();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const first = await on(agent, guard.url);
    // What callers are told, so that those who listen have none left when the pod ends.
    expect(first.response.headers).toMatchObject({ connection: 'keep-alive', 'keep-alive': 'timeout=5' });
    guard.guard.leave();
    const second = await on(agent, guard.url);
    expect(second.port).toBe(first.port);
    expect([second.response.statusCode, second.response.headers.connection]).toEqual([200, 'close']);
    agent.destroy();
  });
});

test('a guard without siblings serves new sessions until it drains', async () => {
  const { guard } = await scripted();
  guard.guard.leave();
  expect((await post(guard.url, INITIALIZE)).status).toBe(200);
  guard.guard.drain();
  await eventually(async () => (await post(guard.url, INITIALIZE)).status === 503, 'new sessions are refused');
});
