import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, Server as ModernServer } from '@modelcontextprotocol/server';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle, READ_ONLY } from './testing/bundle.ts';
import { firstKeyReader, foldingReader, nulReader } from './testing/readers.ts';
import type { RunningGuard } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import { scriptedServer, tool } from './testing/scripted.ts';

/**
 * Known ways to make a proxy judge another request than the server runs, replayed byte for byte over raw sockets against three servers:
 * the official SDKs of both lines, and one that reads as leniently as any reader known. `delete` is forbidden; nobody may run it.
 */

const TOOLS = [tool('list', { readOnlyHint: true }), tool('delete', { destructiveHint: true })];
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{}}}';
const DENIED = CALL.replace('"list"', '"delete"');
const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const MODERN = 'MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n';

interface Attack {
  readonly name: string;
  readonly body: string | Buffer;
  /** Lines that replace or add to the usual ones. */
  readonly head?: string;
  readonly type?: string;
  /** The request line, when it is not `POST /mcp HTTP/1.1`. */
  readonly line?: string;
  /** Sent as it is, head and all. */
  readonly raw?: string;
}

const ATTACKS: readonly Attack[] = [
  { name: 'plainly', body: DENIED },
  { name: 'a second name', body: CALL.replace('"name":"list"', '"name":"list","name":"delete"') },
  { name: 'a first name', body: CALL.replace('"name":"list"', '"name":"delete","name":"list"') },
  { name: 'a second params', body: CALL.replace('"params":', '"params":{"name":"delete"},"params":') },
  {
    name: 'a second method',
    body: CALL.replace('"method":"tools/call"', '"method":"tools/list","method":"tools/call"').replace('"list","arg', '"delete","arg'),
  },
  { name: 'the name in upper case', body: CALL.replace('"name":"list"', '"name":"list","Name":"delete"') },
  { name: 'only the name in upper case', body: CALL.replace('"name":"list"', '"NAME":"delete"') },
  { name: 'the method in upper case', body: DENIED.replace('"method":"tools/call"', '"method":"ping","Method":"tools/call"') },
  { name: 'params with a long s', body: CALL.replace('"params":', '"param\u017f":{"name":"delete"},"params":') },
  { name: 'an escaped second name', body: CALL.replace('"name":"list"', '"name":"list","\\u006eame":"delete"') },
  { name: 'a name that ends at a NUL', body: CALL.replace('"list"', '"delete\\u0000"') },
  { name: 'a key that ends at a NUL', body: CALL.replace('"name":"list"', '"name":"list","name\\u0000":"delete"') },
  { name: 'a trailing space', body: CALL.replace('"list"', '"delete "') },
  { name: 'another normal form', body: CALL.replace('"list"', '"dele\u0301te"') },
  { name: 'full width letters', body: CALL.replace('"list"', '"\uff44elete"') },
  { name: 'a batch', body: `[${CALL},${DENIED}]` },
  { name: 'two documents', body: `${CALL}\n${DENIED}` },
  { name: 'a byte order mark', body: `\ufeff${DENIED}` },
  { name: 'UTF-16', body: Buffer.from(`\ufeff${DENIED}`, 'utf16le'), type: 'application/json; charset=utf-16le' },
  { name: 'UTF-7 by charset', body: DENIED, type: 'application/json; charset=utf-7' },
  { name: 'as plain text', body: DENIED, type: 'text/plain' },
  { name: 'as JSON-RPC', body: DENIED, type: 'application/json-rpc' },
  { name: 'two content types', body: DENIED, head: 'Content-Type: text/plain\r\n' },
  { name: 'compressed', body: DENIED, head: 'Content-Encoding: gzip\r\n' },
  {
    name: 'an invalid encoding of the name',
    body: Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete'),
      Buffer.from([0xc0, 0x80]),
      Buffer.from('","arguments":{}}}'),
    ]),
  },
  {
    name: 'modern headers beside another body',
    body: DENIED.replace('"arguments":{}', `"arguments":{},${META}`),
    head: `${MODERN}Mcp-Name: list\r\n`,
  },
  {
    name: 'two Mcp-Name',
    body: DENIED.replace('"arguments":{}', `"arguments":{},${META}`),
    head: `${MODERN}Mcp-Name: list\r\nMcp-Name: delete\r\n`,
  },
  {
    name: 'Mcp-Name in base64',
    body: DENIED.replace('"arguments":{}', `"arguments":{},${META}`),
    head: `${MODERN}Mcp-Name: =?base64?ZGVsZXRl?=\r\n`,
  },
  {
    name: 'a legacy header on a modern body',
    body: DENIED.replace('"arguments":{}', `"arguments":{},${META}`),
    head: 'MCP-Protocol-Version: 2025-11-25\r\n',
  },
  { name: 'initialize that carries a call', body: DENIED.replace('"method":"tools/call"', '"method":"initialize","Method":"tools/call"') },
  { name: 'a result that is a request', body: DENIED.replace('"id":1', '"id":1,"result":{}') },
  { name: 'as a notification', body: DENIED.replace('"id":1,', '') },
  { name: 'by PUT', body: DENIED, line: 'PUT /mcp HTTP/1.1' },
  { name: 'on another path', body: DENIED, line: 'POST /mcp/ HTTP/1.1' },
  { name: 'on a path with dots', body: DENIED, line: 'POST /x/../mcp HTTP/1.1' },
  { name: 'on an escaped path', body: DENIED, line: 'POST /%6dcp HTTP/1.1' },
  { name: 'in an absolute form', body: DENIED, line: 'POST http://127.0.0.1/mcp HTTP/1.1' },
  { name: 'behind Expect', body: DENIED, head: 'Expect: 100-continue\r\n' },
  { name: 'by upgrade', body: DENIED, head: 'Upgrade: websocket\r\nConnection: Upgrade\r\n' },
  { name: 'with a marker of ours', body: DENIED, head: 'X-Mcp-Fleet-Hop: 1\r\n' },
  { name: 'from a foreign page', body: CALL.replace('"list"', '"delete"'), head: 'Origin: https://evil.example\r\n' },
  {
    name: 'smuggled behind a chunked body',
    body: '',
    raw: `POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${DENIED.length}\r\n\r\n${DENIED}`,
  },
  { name: 'a second length', body: CALL, head: `Content-Length: ${DENIED.length}\r\n` },
];

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

/** Sends bytes and reads until the connection rests or closes. */
async function exchange(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await eventually(() => /\r\n\r\n/.test(text) || socket.destroyed, 'an answer, or the end');
  await new Promise(setImmediate);
  socket.destroy();
  return text;
}

function bytesOf({ body, head = '', type = 'application/json', line = 'POST /mcp HTTP/1.1', raw }: Attack): Buffer {
  if (raw !== undefined) return Buffer.from(raw);
  const content = Buffer.from(body);
  const lines = `${line}\r\nHost: 127.0.0.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: ${type}\r\n${head}Content-Length: ${content.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(lines), content]);
}

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
