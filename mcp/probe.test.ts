import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import { describe, expect, test } from 'vitest';
import type { Target } from './connection.ts';
import type { Era } from './eras.ts';
import { probe } from './probe.ts';
import type { Listener } from './testing/listener.ts';
import { initialized, scripted } from './testing/listener.ts';
import { legacyServer, manyTools, modernServer, sseServer, type LegacyOptions } from './testing/sdk-servers.ts';

describe('a legacy server of the official SDK', () => {
  const modes: Record<string, LegacyOptions> = {
    'with sessions, answering with event streams': {},
    'with sessions, answering with JSON': { json: true },
    'with sessions and resumable streams': { eventStore: new InMemoryEventStore() },
    'without sessions, answering with event streams': { stateless: true },
    'without sessions, answering with JSON': { stateless: true, json: true },
  };
  test.each(Object.entries(modes))('%s is verified, and nothing stays open', async (_, options) => {
    await using server = await legacyServer({ ...options, tools: manyTools(7), page: 3 });
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({
      outcome: 'Verified',
      message: 'legacy 1.0.0 speaks MCP 2025-11-25 and lists 7 tools',
      server: { name: 'legacy', version: '1.0.0', era: 'Legacy', protocolVersions: ['2025-11-25'], capabilities: ['logging', 'tools'] },
    });
    // Behind a Service another connection may lead to another pod, which does not know the session.
    expect(new Set(server.requests.map((request) => request.socket)).size).toBe(1);
    expect(server.opened).toHaveLength(options.stateless === true ? 0 : 1);
    expect(server.sessions.size).toBe(0);
  });

  test('gets answers to what it asks while listing', async () => {
    await using server = await legacyServer({ curious: true });
    const seen: string[] = [];
    const result = await probe(
      { url: server.url },
      { onMessage: (message) => seen.push('method' in message ? message.method : message.kind) },
    );
    expect(result.outcome).toBe('Verified');
    expect(seen).toEqual(['ping', 'roots/list', 'notifications/message']);
    expect(server.sessions.size).toBe(0);
  });

  test('is not asked for its era again when it is known', async () => {
    await using server = await legacyServer();
    await probe({ url: server.url }, { era: 'Legacy' });
    expect(server.log).toEqual(['POST initialize', 'POST notifications/initialized', 'POST tools/list', 'DELETE']);
  });

  test('gives the same digest over event streams, JSON, HTTP+SSE and any order', async () => {
    const digests = new Set<string>();
    const tools = manyTools(5);
    await using a = await legacyServer({ tools });
    await using b = await legacyServer({ tools: tools.toReversed(), json: true, page: 1 });
    await using c = await sseServer({ tools });
    const targets: Target[] = [{ url: a.url }, { url: b.url }, { url: c.url, transport: 'SSE' }];
    for (const target of targets) {
      const result = await probe(target);
      digests.add(result.outcome === 'Verified' ? result.inventory.digest : result.message);
    }
    expect([...digests]).toEqual([expect.stringMatching(/^sha256:[0-9a-f]{64}$/)]);
  });
});

describe('a modern server of the official SDK', () => {
  test.each([{ only: true }, { only: false }])('is verified without session ($only)', async (options) => {
    await using server = await modernServer(options);
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({
      outcome: 'Verified',
      server: { name: 'modern', version: '2.0.0', era: 'Modern', protocolVersions: ['2026-07-28'] },
    });
    expect(server.log).toEqual(['POST server/discover', 'POST tools/list']);
    expect(server.requests.at(-1)?.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
      'accept-encoding': 'identity',
    });
  });

  test('that replaced a legacy one is found in spite of the hint', async () => {
    await using server = await modernServer({ only: true });
    const result = await probe({ url: server.url }, { era: 'Legacy' });
    expect(result).toMatchObject({ outcome: 'Verified', server: { era: 'Modern' } });
  });
});

describe('a server of HTTP+SSE', () => {
  test('is verified, and its stream ends', async () => {
    await using server = await sseServer({ tools: manyTools(5), page: 2, curious: true });
    const result = await probe({ url: server.url, transport: 'SSE' });
    expect(result).toMatchObject({ outcome: 'Verified', message: 'legacy 1.0.0 speaks MCP 2025-11-25 and lists 5 tools' });
    await expect.poll(() => server.sessions.size).toBe(0);
    expect(server.opened).toHaveLength(1);
  });

  test('that is taken for streamable HTTP says what to change', async () => {
    await using server = await sseServer();
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({ outcome: 'ProtocolError', message: expect.stringContaining('is the path right') });
  });
});

const listing = (list: (params: Record<string, unknown>) => unknown) => scripted({ initialize: () => initialized(), 'tools/list': list });
const tool = (name: string, more: object = {}) => ({ name, inputSchema: { type: 'object' }, ...more });

describe('a list of tools', () => {
  test('continues after an empty page and with an empty cursor', async () => {
    await using server = await listing(({ cursor }) => {
      if (cursor === undefined) return { tools: [], nextCursor: '' };
      return cursor === '' ? { tools: [tool('a')], nextCursor: 'x' } : { tools: [tool('b')], nextCursor: null };
    });
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({ outcome: 'Verified', inventory: { tools: [{ name: 'a' }, { name: 'b' }] } });
  });

  test('keeps hints three-valued and reports what the server does wrong', async () => {
    await using server = await listing(() => ({
      tools: [
        tool('a', { annotations: { readOnlyHint: false, destructiveHint: 'no' } }),
        tool('a'),
        tool('a'),
        tool('b\u0000\u001b[31m', { title: 'B' }),
        tool('c', { annotations: { readOnlyHint: true, destructiveHint: true, title: 'C' } }),
        { name: 'd' },
      ],
    }));
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({
      outcome: 'Verified',
      inventory: {
        tools: [
          { name: 'a', hints: { readOnly: false, destructive: undefined, openWorld: undefined } },
          { name: 'b\u0000\u001b[31m', title: 'B' },
          { name: 'c', title: 'C' },
          { name: 'd' },
        ],
        duplicates: ['a'],
        warnings: [
          'tool a: destructiveHint is no boolean and counts as absent',
          'tool a is listed more than once; only the first counts',
          'tool name "b\uFFFD\uFFFD[31m" has characters or a length that the specification advises against',
          'tool c calls itself read-only and destructive; it counts as destructive',
          'tool d has no inputSchema; official clients refuse such a list',
        ],
      },
    });
  });

  const endless: Record<string, { list: (params: Record<string, unknown>) => unknown; message: string }> = {
    'that repeats a cursor': { list: () => ({ tools: [], nextCursor: 'again' }), message: 'never ends: page 2 repeats the cursor' },
    'of endless pages': { list: ({ cursor }) => ({ tools: [], nextCursor: `${String(cursor)}x` }), message: 'more than 5 pages' },
    'of too many entries': { list: () => ({ tools: manyTools(11) }), message: 'more than 10 entries' },
    'without entries': { list: () => ({}), message: 'has no list "tools"' },
    'with an entry that is no tool': { list: () => ({ tools: [tool('a'), 'b'] }), message: 'entry 2 of tools/list has no name' },
    'with a cursor that is no string': { list: () => ({ tools: [], nextCursor: 3 }), message: 'nextCursor is no string' },
  };
  test.each(Object.entries(endless))('%s is refused', async (_, { list, message }) => {
    await using server = await listing(list);
    const result = await probe({ url: server.url }, { limits: { pages: 5, items: 10 } });
    expect(result).toMatchObject({ outcome: 'ProtocolError', message: expect.stringContaining(message), server: { name: 'scripted' } });
  });

  test('is not asked for where the server has no tools', async () => {
    await using server = await scripted({ initialize: () => initialized({ capabilities: { prompts: {} } }) });
    const result = await probe({ url: server.url });
    expect(result).toMatchObject({ outcome: 'Verified', inventory: { tools: [] }, server: { capabilities: ['prompts'] } });
    expect(server.log).not.toContain('POST tools/list');
  });
});

describe('the handshake', () => {
  const refusals: Record<string, { script: Parameters<typeof scripted>[0]; outcome: string; message: string; era?: Era }> = {
    'names the error of a server that refuses initialize': {
      script: {},
      outcome: 'HandshakeFailed',
      message: 'the server refused initialize: error -32601 "Method not found"',
    },
    'names the revision that nobody knows': {
      script: { initialize: () => initialized({ protocolVersion: '2031-01-01' }) },
      outcome: 'HandshakeFailed',
      message: 'the server answered initialize with revision 2031-01-01; supported here: 2025-11-25',
    },
    'names the revisions of a server that is too new': {
      script: { 'server/discover': () => ({ supportedVersions: ['2031-01-01'], capabilities: {} }) },
      outcome: 'HandshakeFailed',
      message: 'no protocol revision in common: the server supports 2031-01-01',
    },
    'needs a revision': { script: { initialize: () => ({}) }, outcome: 'ProtocolError', message: 'has no protocolVersion' },
  };
  test.each(Object.entries(refusals))('%s', async (_, { script, outcome, message }) => {
    await using server = await scripted(script);
    expect(await probe({ url: server.url })).toMatchObject({ outcome, message: expect.stringContaining(message) });
  });

  test('makes names of servers printable and short', async () => {
    const serverInfo = { name: `evil\u202e\n${'x'.repeat(1e6)}`, version: 7 };
    await using server = await scripted({ initialize: () => initialized({ serverInfo }), 'tools/list': () => ({ tools: [] }) });
    const result = await probe({ url: server.url });
    expect(result.server?.name).toBe(`evil\uFFFD ${'x'.repeat(121)}…`);
    expect(result.server?.version).toBe('');
  });
});

test('an aborted probe rejects with the reason of its signal', async () => {
  await using server: Listener = await scripted({});
  const reason = new Error('leadership was lost');
  await expect(probe({ url: server.url }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
