import { createServer } from 'node:http';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { legacyServer } from './legacy.ts';
import { listening, LOOPBACK } from './listening.ts';

/** Serves the legacy everything server over HTTP+SSE of 2024-11-05. With `token`, only to requests that carry it. */
export async function serveEvents(token?: string, place = LOOPBACK): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const sessions = new Map<string, SSEServerTransport>();
  const http = createServer((request, response) => {
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="test"' }).end();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/sse' && request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response);
      sessions.set(transport.sessionId, transport);
      response.on('close', () => sessions.delete(transport.sessionId));
      void legacyServer().connect(transport);
      return;
    }
    const session = sessions.get(url.searchParams.get('sessionId') ?? '');
    if (session === undefined) response.writeHead(404).end();
    else void session.handlePostMessage(request, response);
  });
  const { port, stop } = await listening(http, place);
  return { url: `http://localhost:${port}/sse`, stop };
}
