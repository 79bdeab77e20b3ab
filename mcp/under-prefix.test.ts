import { Agent } from 'undici';
import { describe, expect, test } from 'vitest';
import { sendThrough } from './http.ts';
import { probe } from './probe.ts';
import { httpListener, type Listener } from './testing/listener.ts';
import { legacyServer, modernServer, sseServer } from './testing/sdk-servers.ts';
import { underPrefix } from './under-prefix.ts';

const path = '/api/v1/namespaces/agents/services/github:80/proxy';

/** What the API server's proxy does, as far as it concerns us: strips its prefix, and puts it before the path of a Location. */
function apiServer(upstream: URL): Promise<Listener> {
  return httpListener(async (request, response, body) => {
    const url = request.url ?? '';
    if (!url.startsWith(`${path}/`)) return response.writeHead(500).end('outside of the proxy');
    const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    for (const name of ['connection', 'host', 'content-length', 'transfer-encoding']) headers.delete(name);
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const answer = await fetch(new URL(url.slice(path.length), upstream), {
      method: request.method ?? 'GET',
      headers,
      redirect: 'manual',
      signal: gone.signal,
      ...(body === '' ? {} : { body }),
    });
    const location = answer.headers.get('location');
    const rewritten = location?.startsWith('/') === true ? { location: path + location } : {};
    response.writeHead(answer.status, { ...Object.fromEntries(answer.headers), ...rewritten });
    try {
      for await (const chunk of answer.body ?? []) response.write(chunk);
    } catch {
      // The caller hung up.
    }
    return response.end();
  });
}

async function probed(api: Listener, url: string, transport: 'StreamableHTTP' | 'SSE' = 'StreamableHTTP') {
  const agent = new Agent();
  try {
    const send = underPrefix(new URL(path, api.url), sendThrough(agent));
    return await probe({ url: new URL(url), transport, send }, { limits: { timeoutMs: 2_000 } });
  } finally {
    await agent.destroy();
  }
}

describe('through the proxy of an API server', () => {
  const servers = { modern: () => modernServer({ only: true }), legacy: () => legacyServer() };
  test.each(Object.entries(servers))('a %s server is verified', async (_, open) => {
    await using server = await open();
    await using api = await apiServer(server.url);
    expect(await probed(api, 'http://github.agents.svc/mcp')).toMatchObject({ outcome: 'Verified' });
  });

  test('a server of HTTP+SSE is verified although its endpoint is an absolute path', async () => {
    await using server = await sseServer();
    await using api = await apiServer(server.url);
    expect(await probed(api, 'http://github.agents.svc/sse', 'SSE')).toMatchObject({ outcome: 'Verified' });
    await expect.poll(() => server.sessions.size).toBe(0);
  });

  test('a redirect that only adds a slash stays below the prefix', async () => {
    await using server = await httpListener((request, response) =>
      request.url === '/mcp' ? response.writeHead(307, { location: '/mcp/' }).end() : response.writeHead(401).end(),
    );
    await using api = await apiServer(server.url);
    expect(await probed(api, 'http://github.agents.svc/mcp')).toMatchObject({ outcome: 'AuthenticationRequired' });
  });

  test('a server that points elsewhere in the API is not followed', async () => {
    await using server = await httpListener((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /../../../../secrets/%2e%2e%2fx\n\n'),
    );
    await using api = await apiServer(server.url);
    expect(await probed(api, 'http://github.agents.svc/sse', 'SSE')).toMatchObject({
      outcome: 'ProtocolError',
      message: expect.stringContaining('encoded separators'),
    });
    expect(api.requests.every((request) => request.url?.startsWith(path))).toBe(true);
  });
});

const status = (code: number, message: string) => JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code });

describe('what the API server says itself', () => {
  const cases: Record<string, { code: number; message: string; outcome: string; said: string }> = {
    'no rights': {
      code: 403,
      message: 'services "github" is forbidden: User "ana" cannot create resource "services/proxy"',
      outcome: 'ConnectionRefused',
      said: 'cannot create resource "services/proxy"',
    },
    'no credentials': { code: 401, message: 'Unauthorized', outcome: 'ConnectionRefused', said: 'does not accept our credentials' },
    'no such service': {
      code: 404,
      message: 'services "github" not found',
      outcome: 'ConnectionRefused',
      said: 'services "github" not found',
    },
    'no pod': {
      code: 503,
      message: 'no endpoints available for service "github"',
      outcome: 'ConnectionRefused',
      said: 'no endpoints available',
    },
    'nobody listens': {
      code: 503,
      message: 'error trying to reach service: dial tcp 10.0.0.7:8080: connect: connection refused',
      outcome: 'ConnectionRefused',
      said: "nothing listens at the server's port",
    },
    'no route': {
      code: 503,
      message: 'error trying to reach service: dial tcp 10.0.0.7:8080: i/o timeout',
      outcome: 'Timeout',
      said: 'i/o timeout',
    },
    'no HTTP': { code: 503, message: 'error trying to reach service: EOF', outcome: 'ProtocolError', said: 'EOF' },
  };
  test.each(Object.entries(cases))('%s', async (_, { code, message, outcome, said }) => {
    await using api = await httpListener((_request, response) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(status(code, message)),
    );
    expect(await probed(api, 'http://github.agents.svc/mcp')).toMatchObject({ outcome, message: expect.stringContaining(said) });
  });

  test('is not confused with a refusal of the server', async () => {
    await using api = await httpListener((_request, response) =>
      response.writeHead(403, { 'content-type': 'application/json' }).end(`{"error":"${'x'.repeat(20_000)}"}`),
    );
    expect(await probed(api, 'http://github.agents.svc/mcp')).toMatchObject({ outcome: 'AuthenticationRequired' });
  });
});
