import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, Server as ModernServer } from '@modelcontextprotocol/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKS, bytesOf, CALL, exchange } from './testing/attacks.ts';
import { bundle, READ_ONLY } from './testing/bundle.ts';
import { firstKeyReader, foldingReader, nulReader } from './testing/readers.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import { scriptedServer, tool } from './testing/scripted.ts';

/**
 * The attacks of testing/attacks.ts, replayed over raw sockets against three servers:
 * the official SDKs of both lines, and one that reads as leniently as any reader known. `delete` is forbidden; nobody may run it.
 */

const TOOLS = [tool('list', { readOnlyHint: true }), tool('delete', { destructiveHint: true })];
interface Upstream {
  readonly url: string;
  /** Tools that this server ran, or would have run for any of its readers. */
  readonly ran: string[];
  readonly stop: () => Promise<void>;
}

async function lenient(): Promise<Upstream> {
  const ran: string[] = [];
  const server = await scriptedServer(
    (seen, response) => {
      const text = seen.body.toString().replace(/^\ufeff/, '');
      for (const reader of [firstKeyReader, foldingReader, nulReader]) {
        try {
          ran.push(
            String((reader(text) as { name?: unknown }).name)
              .trim()
              .normalize('NFKC'),
          );
        } catch {
          // Not even this one can read it.
        }
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    },
    { tools: TOOLS },
  );
  return { url: server.url, ran, stop: server.stop };
}

async function served(handle: (ran: string[]) => (request: never, response: never) => void): Promise<Upstream> {
  const ran: string[] = [];
  const http = createServer(handle(ran) as never);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`,
    ran,
    stop: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}

/** SDK v1 without sessions, so that every attack reaches a server that is ready to run it. */
const legacy = (): Promise<Upstream> =>
  served((ran) => (request, response) => {
    const server = new LegacyServer({ name: 'v1', version: '1' }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: TOOLS as never[] }));
    server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
      ran.push(params.name);
      return { content: [] };
    });
    const transport = new StreamableHTTPServerTransport();
    void server.connect(transport as never).then(() => transport.handleRequest(request, response));
  });

const modern = (): Promise<Upstream> =>
  served((ran) => {
    const handle = toNodeHandler(
      createMcpHandler(() => {
        const server = new ModernServer({ name: 'v2', version: '1' }, { capabilities: { tools: {} } });
        server.setRequestHandler('tools/list', () => ({ tools: TOOLS as never[] }));
        server.setRequestHandler('tools/call', ({ params }) => {
          ran.push(params.name);
          return { content: [] };
        });
        return server;
      }),
    );
    return (request, response) => void handle(request, response);
  });

describe.each([
  ['a server that reads as leniently as any', lenient],
  ['the official SDK v1', legacy],
  ['the official SDK v2', modern],
] as const)('%s never runs what is forbidden', (_what, start) => {
  let upstream: Upstream;
  let guard: RunningGuard;
  beforeAll(async () => {
    upstream = await start();
    guard = await runGuard({ upstream: upstream.url, bundle: bundle({ policies: [READ_ONLY] }) });
    await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  });
  afterAll(async () => {
    await guard.stop();
    await upstream.stop();
  });

  test('while what is allowed does run', async () => {
    await exchange(guard.ports.data, bytesOf({ name: 'allowed', body: CALL }));
    await eventually(() => upstream.ran.includes('list'), 'the allowed call ran');
  });

  test.each(ATTACKS.map((attack) => [attack.name, attack] as const))('%s', async (_name, attack) => {
    upstream.ran.length = 0;
    const answer = await exchange(guard.ports.data, bytesOf(attack));
    expect(upstream.ran.filter((name) => name.includes('delete') || name.includes('dele'))).toEqual([]);
    expect(answer).not.toMatch(/"content":\[\]/);
  });

  test('and an allowed call runs still', async () => {
    upstream.ran.length = 0;
    await exchange(guard.ports.data, bytesOf({ name: 'allowed', body: CALL }));
    await eventually(() => upstream.ran.includes('list'), 'the allowed call ran');
  });
});
