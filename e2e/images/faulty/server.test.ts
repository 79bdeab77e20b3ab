import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, test } from 'vitest';
import { options } from './behaviour.ts';
import type { Mode } from './behaviour.ts';
import { faultyServer } from './server.ts';
import type { FaultyServer } from './server.ts';

const running: FaultyServer[] = [];

async function start(...args: readonly string[]): Promise<{ server: FaultyServer; url: URL; crashes: string[] }> {
  const crashes: string[] = [];
  const server = faultyServer(options(args, {}), (message) => crashes.push(message));
  running.push(server);
  server.tcp.listen(0, '127.0.0.1');
  await once(server.tcp, 'listening');
  const { port } = server.tcp.address() as AddressInfo;
  return { server, url: new URL(`http://127.0.0.1:${port}/mcp`), crashes };
}

async function connected(url: URL): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(url));
  return client;
}

function request(url: URL): Promise<Response> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list' });
  return fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(300) });
}

afterEach(() => {
  for (const { tcp } of running.splice(0)) {
    tcp.close();
  }
});

describe('a healthy server', () => {
  test.each([
    ['speaks the modern era', ['--era', 'Modern'], '2026-07-28'],
    ['speaks the legacy era', ['--era', 'Legacy'], '2025-11-25'],
    ['speaks the legacy era with sessions', ['--era', 'Legacy', '--sessions'], '2025-11-25'],
    ['speaks the newest by default', [], '2026-07-28'],
  ])('%s', async (_, args, version) => {
    const { url } = await start('--tools', '25', '--page-size', '10', ...args);
    const client = await connected(url);
    expect(client.getNegotiatedProtocolVersion()).toBe(version);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['echo', 'tool_0001', 'tool_0025']));
    const answer = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    expect(answer.content).toEqual([{ type: 'text', text: 'hello' }]);
    await client.close();
  });

  test('lists other tools when told to', async () => {
    const { server, url } = await start();
    const client = await connected(url);
    await client.callTool({ name: 'set_tools', arguments: { names: ['first', 'second'] } });
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('second');
    server.changeTools([{ name: 'third' }]);
    expect((await client.callTool({ name: 'third' })).content).toEqual([{ type: 'text', text: 'third' }]);
    await client.close();
  });

  test('crashes when told to', async () => {
    const { url, crashes } = await start();
    const client = await connected(url);
    await client.callTool({ name: 'crash', arguments: { message: 'boom' } });
    expect(crashes).toEqual(['boom']);
    await client.close();
  });
});

describe('a faulty server', () => {
  test.each<[string, Mode, number, string]>([
    ['is a web page', 'WebPage', 200, '<!doctype html>'],
    ['wants a token', 'Unauthorized', 401, 'invalid_token'],
    ['forbids', 'Forbidden', 403, ''],
    ['is not available', 'Unavailable', 503, 'the upstream is down'],
    ['answers with an error of JSON-RPC', 'JsonRpcError', 200, '"id":7,"error":{"code":-32603'],
  ])('%s', async (_, mode, status, body) => {
    const { url } = await start('--mode', mode);
    const response = await request(url);
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(body);
  });

  test('never answers', async () => {
    const { url } = await start('--mode', 'Silent');
    await expect(request(url)).rejects.toThrow(/timeout/);
  });

  test('does not speak HTTP', async () => {
    const { url } = await start('--mode', 'Binary');
    await expect(request(url)).rejects.toThrow(/fetch failed/);
  });

  test('recovers', async () => {
    const { server, url } = await start('--mode', 'Forbidden');
    expect((await request(url)).status).toBe(403);
    server.behaviour.mode = 'Healthy';
    const client = await connected(url);
    await client.close();
  });

  test('refuses a mode that it does not know', () => {
    expect(() => options(['--mode', 'Lazy'], {})).toThrow(/--mode must be one of Healthy, Silent/);
  });
});
