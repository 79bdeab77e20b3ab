import { describe, expect, test } from 'vitest';
import { call } from './call.ts';
import type { Target } from './connection.ts';
import { httpListener, initialized, scripted } from './testing/listener.ts';
import { echo, legacyServer, modernServer, sseServer } from './testing/sdk-servers.ts';

const text = (content: string) => ({ content: [{ type: 'text', text: content }] });

describe('a tool is called', () => {
  test('at a legacy server, whose session ends', async () => {
    await using server = await legacyServer();
    expect(await call({ url: server.url }, 'echo', { text: 'hi' })).toMatchObject({
      outcome: 'Answered',
      isError: false,
      result: text('echo {"text":"hi"}'),
    });
    expect(server.opened).toHaveLength(1);
    expect(server.sessions.size).toBe(0);
  });

  test('at a server of HTTP+SSE', async () => {
    await using server = await sseServer();
    const target: Target = { url: server.url, transport: 'SSE' };
    expect(await call(target, 'echo', { text: 'hi' })).toMatchObject({ outcome: 'Answered', result: text('echo {"text":"hi"}') });
  });

  test('at a modern server, named in the headers', async () => {
    await using server = await modernServer({ only: true });
    expect(await call({ url: server.url }, 'echo', { text: 'hi' })).toMatchObject({
      outcome: 'Answered',
      result: text('echo {"text":"hi"}'),
    });
    expect(server.requests.at(-1)?.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 'echo' });
  });

  test('at a modern server that wants an argument repeated as header', async () => {
    await using server = await modernServer({ only: true });
    const result = await call({ url: server.url }, 'regional', { region: 'Köln' });
    expect(result).toMatchObject({ outcome: 'Answered', result: text('region {"region":"Köln"}') });
    expect(server.log).toEqual(['POST server/discover', 'POST tools/call', 'POST tools/list', 'POST tools/call']);
    expect(server.requests.at(-1)?.headers).toMatchObject({ 'mcp-param-region': '=?base64?S8O2bG4=?=' });
  });

  test('with arguments made from its definition', async () => {
    await using server = await modernServer({ only: true });
    const result = await call({ url: server.url }, 'regional', (definition) => ({
      region: Object.keys(definition?.['inputSchema'] ?? {}).join(' '),
    }));
    expect(result).toMatchObject({ outcome: 'Answered', isError: false });
    expect(server.log).toEqual(['POST server/discover', 'POST tools/list', 'POST tools/call']);
  });

  test('and says itself that it failed', async () => {
    await using server = await legacyServer({ tools: [{ ...echo, name: 'broken' }] });
    expect(await call({ url: server.url }, 'broken', {})).toMatchObject({
      outcome: 'Answered',
      isError: true,
      result: text('out of order'),
    });
  });
});

describe('a call that does not run', () => {
  test('is refused with the server’s words', async () => {
    await using server = await modernServer();
    expect(await call({ url: server.url }, 'nothing', {})).toMatchObject({
      outcome: 'Refused',
      code: -32602,
      message: expect.stringContaining('nothing'),
    });
  });

  test('wants input that is not offered', async () => {
    const script = {
      'server/discover': () => ({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }),
      'tools/call': () => ({ resultType: 'input_required', inputRequests: { a: { method: 'elicitation/create' } }, requestState: 'x' }),
    };
    await using server = await scripted(script);
    expect(await call({ url: server.url }, 'ask', {})).toMatchObject({ outcome: 'InputRequired', requests: ['elicitation/create'] });
  });

  test('needs credentials', async () => {
    await using server = await httpListener((_request, response) => response.writeHead(401).end());
    expect(await call({ url: server.url }, 'echo', {})).toMatchObject({ outcome: 'AuthenticationRequired', status: 401 });
  });

  test('is never repeated when the connection breaks', async () => {
    await using server = await httpListener((request, response, body) => {
      const message = body === '' ? {} : (JSON.parse(body) as { id?: number; method?: string });
      if (message.method === 'tools/call') return request.socket.destroy();
      if (message.id === undefined) return response.writeHead(202).end();
      if (message.method !== 'initialize') return response.writeHead(400).end();
      return response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: initialized() }));
    });
    expect(await call({ url: server.url }, 'echo', {})).toMatchObject({ outcome: 'ProtocolError' });
    expect(server.log.filter((line) => line === 'POST tools/call')).toHaveLength(1);
  });

  test('ends its session when it takes too long', async () => {
    const ended: unknown[] = [];
    await using server = await httpListener((request, response, body) => {
      if (request.method === 'DELETE') {
        ended.push(request.headers['mcp-session-id']);
        return response.writeHead(200).end();
      }
      const message = JSON.parse(body) as { id?: number; method: string };
      if (message.method === 'tools/call') return undefined;
      if (message.id === undefined) return response.writeHead(202).end();
      const headers = { 'content-type': 'application/json', 'mcp-session-id': 's' };
      return response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: initialized() }));
    });
    const result = await call({ url: server.url }, 'echo', {}, { limits: { timeoutMs: 200 }, era: 'Legacy' });
    expect(result).toMatchObject({
      outcome: 'Timeout',
      message: expect.stringContaining('an answer to tools/call did not come within 0.2 s'),
    });
    expect(ended).toEqual(['s']);
  });
});

test('a stream that the server closes early is resumed where it ended', async () => {
  let seen: unknown;
  await using server = await httpListener((request, response, body) => {
    if (request.method === 'GET') {
      seen = request.headers['last-event-id'];
      return response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`id: 2\ndata: {"jsonrpc":"2.0","id":2,"result":{"content":[]}}\n\n`);
    }
    const message = JSON.parse(body) as { id?: number; method: string };
    if (message.id === undefined) return response.writeHead(202).end();
    if (message.method === 'tools/call')
      return response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: 1\nretry: 10\ndata:\n\n');
    return response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: initialized() }));
  });
  expect(await call({ url: server.url }, 'echo', {}, { era: 'Legacy' })).toMatchObject({ outcome: 'Answered', isError: false });
  expect(seen).toBe('1');
});
