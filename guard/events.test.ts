import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, expect, test } from 'vitest';
import { bundle } from './testing/bundle.ts';
import { serveEvents } from './testing/everything/events.ts';
import { eventually, runGuard } from './testing/running.ts';

/** Servers that speak HTTP+SSE of 2024-11-05 are served as streamable HTTP. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

test('an official streamable HTTP client uses a server of 2024-11-05: lists, calls, progress, and questions of the server', async () => {
  const server = await serveEvents();
  stopping.push(server.stop);
  const guard = await runGuard({ upstream: server.url, flags: ['--transport', 'SSE'] });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { username: 'me', email: 'me@x' } }));
  await client.connect(new StreamableHTTPClientTransport(new URL(guard.url)));
  stopping.push(() => client.close());
  expect((await client.listTools()).tools.length).toBeGreaterThan(10);
  const progress: number[] = [];
  await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
    onprogress: (p) => void progress.push(p.progress),
  });
  expect(progress).toEqual([0, 50, 100]);
  const answer = await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } });
  expect(JSON.stringify(answer)).toContain('me@x');
});

test('a server that wants a credential says so through the guard, and gets it', async () => {
  const server = await serveEvents('secret');
  stopping.push(server.stop);
  const authentication = { type: 'Upstream' } as const;
  const guard = await runGuard({ upstream: server.url, flags: ['--transport', 'SSE'], bundle: bundle({ authentication }) });
  stopping.push(guard.stop);
  const initialize = (headers: Record<string, string>): Promise<Response> =>
    fetch(guard.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
      }),
    });
  const refused = await initialize({});
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="test"']);
  const accepted = await initialize({ authorization: 'Bearer secret' });
  expect(accepted.status).toBe(200);
  expect(accepted.headers.get('mcp-session-id')).not.toBeNull();
});
