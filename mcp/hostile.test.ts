import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { call } from './call.ts';
import type { Send } from './http.ts';
import { probe } from './probe.ts';
import { httpListener, initialized, scripted, tcpListener } from './testing/listener.ts';

const limits = { timeoutMs: 2_000, messageBytes: 64 * 1024, totalBytes: 256 * 1024 };

type Answer = Parameters<typeof httpListener>[0];

interface Case {
  readonly answer: Answer;
  readonly outcome: string;
  readonly message: string | RegExp;
}

const json = { 'content-type': 'application/json' };
const stream = { 'content-type': 'text/event-stream' };
const id = (body: string) => (JSON.parse(body) as { id?: number }).id ?? 0;
const reply = (body: string, result: object) => JSON.stringify({ jsonrpc: '2.0', id: id(body), result });

const overHttp: Record<string, Case> = {
  'an HTML page instead of MCP is quoted': {
    answer: (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>\n<title>Welcome</title>'),
    outcome: 'ProtocolError',
    message:
      'came with content type text/html where MCP has application/json or text/event-stream: "<!doctype html> <title>Welcome</title>"',
  },
  'JSON that is no JSON-RPC is quoted': {
    answer: (_request, response) => response.writeHead(200, json).end('{"hello":"world"}'),
    outcome: 'ProtocolError',
    message: 'the answer to initialize is not MCP: it is JSON but has no "jsonrpc": "2.0"; it begins with "{"hello":"world"}"',
  },
  'JSON that is cut off is quoted': {
    answer: (_request, response) => response.writeHead(200, json).end('{"jsonrpc":"2.0",'),
    outcome: 'ProtocolError',
    message: 'it is not JSON; it begins with "{"jsonrpc":"2.0","',
  },
  'an answer to another request is refused': {
    answer: (_request, response, body) =>
      response.writeHead(200, json).end(JSON.stringify({ jsonrpc: '2.0', id: String(id(body)), result: {} })),
    outcome: 'ProtocolError',
    message: 'the answer to initialize belongs to another request',
  },
  'binary garbage is made printable': {
    answer: (_request, response) => response.writeHead(200, json).end(Buffer.from([0, 27, 91, 51, 49, 109, 255, 254, 10, 65])),
    outcome: 'ProtocolError',
    message: /begins with "[\uFFFD[31m]+ A"$/,
  },
  'a body without end is cut at the limit': {
    answer: (_request, response) => {
      response.writeHead(200, json);
      const more = () => {
        while (response.write(Buffer.alloc(8192, 'x')) && !response.destroyed);
      };
      response.on('drain', more);
      more();
    },
    outcome: 'ProtocolError',
    message: 'is larger than 65536 bytes, which is the limit',
  },
  'an event without end is cut at the limit': {
    answer: (_request, response) => {
      response.writeHead(200, stream).write('data: ');
      const more = () => {
        while (response.write(Buffer.alloc(8192, 'x')) && !response.destroyed);
      };
      response.on('drain', more);
      more();
    },
    outcome: 'ProtocolError',
    message: 'an event is larger than 65536 characters',
  },
  'a stream of endless comments is cut at the limit': {
    answer: (_request, response) => {
      response.writeHead(200, stream);
      const more = () => {
        while (response.write(': still here\n\n'.repeat(500)) && !response.destroyed);
      };
      response.on('drain', more);
      more();
    },
    outcome: 'ProtocolError',
    message: 'the server sent more than 262144 bytes altogether',
  },
  'a stream of endless notifications is cut': {
    answer: (_request, response) => {
      response.writeHead(200, stream).end(`data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n`.repeat(1001));
    },
    outcome: 'ProtocolError',
    message: 'more than 1000 messages came before the answer to initialize',
  },
  'a stream that ends early is told': {
    answer: (_request, response) => response.writeHead(200, stream).end(': nothing\n\n'),
    outcome: 'ProtocolError',
    message: 'the event stream ended without the answer to initialize',
  },
  'an event that is no message is quoted': {
    answer: (_request, response) => response.writeHead(200, stream).end('data: tick\n\n'),
    outcome: 'ProtocolError',
    message: 'an event in the answer to initialize is not MCP: it is not JSON; it begins with "tick"',
  },
  'a server that never answers times out': {
    answer: () => undefined,
    outcome: 'Timeout',
    message: 'the server accepts connections, but an answer to initialize did not come within 2 s',
  },
  'a body of one byte now and then times out': {
    answer: (_request, response) => {
      response.writeHead(200, json);
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
    outcome: 'Timeout',
    message: 'an answer to initialize did not come within 2 s',
  },
  'JSON nested without end is refused before it is parsed': {
    answer: (_request, response, body) =>
      response.writeHead(200, json).end(`{"jsonrpc":"2.0","id":${id(body)},"result":${'['.repeat(5000)}${']'.repeat(5000)}}`),
    outcome: 'ProtocolError',
    message: 'JSON is nested more than 64 levels deep',
  },
  'a compressed answer is refused': {
    answer: (_request, response, body) =>
      response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync(reply(body, initialized()))),
    outcome: 'ProtocolError',
    message: 'is compressed although that was not allowed',
  },
  'headers without end are refused': {
    answer: (_request, response) => response.writeHead(200, { ...json, 'x-large': 'x'.repeat(20_000) }).end('{}'),
    outcome: 'ProtocolError',
    message: 'more than 16 KiB of HTTP headers',
  },
  'a redirect to another host is not followed': {
    answer: (_request, response) => response.writeHead(307, { location: 'http://user:pw@attacker.example/mcp?token=abc' }).end(),
    outcome: 'ProtocolError',
    message: 'it redirects to http://attacker.example/mcp, and redirects are not followed',
  },
  'a redirect to another path is not followed': {
    answer: (_request, response) => response.writeHead(308, { location: '/admin' }).end(),
    outcome: 'ProtocolError',
    message: 'it redirects to /admin, and redirects are not followed; name the final address',
  },
  'a redirect that only adds a slash is followed once': {
    answer: (request, response) => response.writeHead(307, { location: `${request.url}/` }).end(),
    outcome: 'ProtocolError',
    message: 'it redirects to /mcp//, and redirects are not followed',
  },
  'HTTP 401 asks for credentials': {
    answer: (_request, response) =>
      response.writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="http://x/.well-known"' }).end(),
    outcome: 'AuthenticationRequired',
    message: 'the server asks for credentials (HTTP 401 to server/discover',
  },
  'HTTP 403 asks for other credentials': {
    answer: (_request, response) => response.writeHead(403, json).end('{"error":"insufficient_scope"}'),
    outcome: 'AuthenticationRequired',
    message: 'the server refuses this caller',
  },
  'HTTP 403 because of the host name is no missing credential': {
    answer: (_request, response) =>
      response.writeHead(403, json).end('{"jsonrpc":"2.0","error":{"code":-32000,"message":"Invalid Host header: 127.0.0.1"},"id":null}'),
    outcome: 'HandshakeFailed',
    message: /the server refuses the host name 127\.0\.0\.1:\d+; add it to the hosts that the server allows/,
  },
  'HTTP 404 doubts the path': {
    answer: (_request, response) => response.writeHead(404).end('Cannot POST /mcp'),
    outcome: 'ProtocolError',
    message: 'there is no MCP endpoint at this path; is the path right (transport.path)? It said "Cannot POST /mcp"',
  },
  'HTTP 405 suggests the older transport': {
    answer: (_request, response) => response.writeHead(405).end(),
    outcome: 'ProtocolError',
    message: 'is it a server of HTTP+SSE (transport.type: SSE)?',
  },
  'HTTP 500 is quoted': {
    answer: (_request, response) => response.writeHead(500).end('Traceback: KeyError API_TOKEN'),
    outcome: 'ProtocolError',
    message: 'HTTP 500 to initialize at http://127.0.0.1',
  },
  'HTTP 202 to a request is no answer': {
    answer: (_request, response) => response.writeHead(202).end(),
    outcome: 'ProtocolError',
    message: 'a request must be answered, but no answer came',
  },
};

describe('over HTTP', () => {
  test.each(Object.entries(overHttp))('%s', async (_, { answer, outcome, message }) => {
    await using server = await httpListener(answer);
    const result = await probe({ url: server.url }, { limits });
    const expected: unknown = typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message);
    expect(result).toMatchObject({ outcome, message: expected });
    expect(result.message.length).toBeLessThan(800);
    expect(result.message).not.toMatch(/\p{Cc}/u);
  });
});

test('a redirect that only adds a slash is followed', async () => {
  await using server = await httpListener((request, response, body) => {
    if (request.url === '/mcp') return response.writeHead(307, { location: '/mcp/' }).end();
    if (request.method === 'DELETE' || !('id' in JSON.parse(body))) return response.writeHead(202).end();
    return response.writeHead(200, json).end(reply(body, initialized({ capabilities: {} })));
  });
  expect(await probe({ url: server.url })).toMatchObject({ outcome: 'Verified' });
});

test('our own credentials never appear in what is quoted', async () => {
  const headers = { Authorization: 'Bearer correct-horse', 'X-Api-Key': 'battery-staple', 'x-other': 'visible' };
  await using server = await httpListener((request, response) => response.writeHead(500).end(JSON.stringify(request.headers)));
  const result = await probe({ url: server.url, headers });
  expect(result.message).not.toMatch(/correct-horse|battery-staple/);
  expect(result.message).toContain('[redacted]');
});

test('a server that closes connections without a word is asked again', async () => {
  const used = new WeakSet<object>();
  await using server = await httpListener((request, response, body) => {
    if (used.has(request.socket)) return request.socket.destroy();
    used.add(request.socket);
    if (request.method === 'DELETE' || !body.includes('"id"')) return response.writeHead(202).end();
    return response.writeHead(200, json).end(reply(body, body.includes('tools/list') ? { tools: [] } : initialized()));
  });
  expect(await probe({ url: server.url })).toMatchObject({ outcome: 'Verified' });
});

test('our own credentials do not appear in an error of the server either', async () => {
  await using server = await httpListener((request, response, body) => {
    const error = { code: -32000, message: `no such key: ${String(request.headers['x-api-key'])}` };
    return response.writeHead(200, json).end(JSON.stringify({ jsonrpc: '2.0', id: id(body), error }));
  });
  const result = await probe({ url: server.url, headers: { 'X-Api-Key': 'battery-staple' } });
  expect(result).toMatchObject({ outcome: 'HandshakeFailed', message: expect.stringContaining('no such key: [redacted]') });
});

test('a session handed out with a refusal is ended too', async () => {
  let opened = 0;
  const ended: unknown[] = [];
  await using server = await httpListener((request, response) => {
    if (request.method === 'DELETE') ended.push(request.headers['mcp-session-id']);
    return response
      .writeHead(400, { ...json, 'mcp-session-id': `s-${++opened}` })
      .end('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}');
  });
  expect(await probe({ url: server.url })).toMatchObject({
    outcome: 'HandshakeFailed',
    message: 'the server refused initialize: error -32600 "no"',
  });
  expect(ended).toEqual(['s-1', 's-2']);
});

test('a session that the server forgets is named as the cause', async () => {
  await using server = await httpListener((request, response, body) => {
    if (body.includes('"initialize"')) return response.writeHead(200, { ...json, 'mcp-session-id': 'a' }).end(reply(body, initialized()));
    if (body.includes('tools/list') || request.method === 'DELETE') return response.writeHead(404).end('Session not found');
    return response.writeHead(body.includes('server/discover') ? 400 : 202).end();
  });
  const result = await probe({ url: server.url });
  expect(result).toMatchObject({
    outcome: 'ProtocolError',
    message: expect.stringContaining('with several replicas, sessions must be shared'),
  });
});

test('a server that leaves only server/discover unanswered is verified all the same', async () => {
  await using server = await httpListener((_request, response, body) => {
    if (body.includes('server/discover')) return undefined;
    if (!body.includes('"id"')) return response.writeHead(202).end();
    return response.writeHead(200, json).end(reply(body, initialized({ capabilities: {} })));
  });
  expect(await probe({ url: server.url }, { limits: { timeoutMs: 3_000 } })).toMatchObject({
    outcome: 'Verified',
    server: { era: 'Legacy' },
  });
});

/** Connections of this process that have not come about. */
const connecting = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

/** A listener whose process has stopped and whose queue is full: the kernel drops what comes, as a firewall does. */
async function deafListener(): Promise<AsyncDisposable & { readonly url: URL }> {
  const program = "const s = require('net').createServer().listen(0, '127.0.0.1', 1, () => console.log(s.address().port))";
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const queued = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await delay(200);
  return {
    url: new URL(`http://127.0.0.1:${port}/mcp`),
    [Symbol.asyncDispose]: async () => {
      for (const socket of queued) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test.each(['Modern', 'Legacy', undefined] as const)('where packets are dropped, that is said, whatever the era is (%s)', async (era) => {
  await using server = await deafListener();
  const options = { limits: { timeoutMs: 1_000 }, ...(era !== undefined && { era }) };
  const expected = { outcome: 'Timeout', message: expect.stringMatching(/no connection to \S+ within 1 s: packets are dropped/) };
  const before = connecting();
  expect(await probe({ url: server.url }, options)).toMatchObject(expected);
  expect(await call({ url: server.url }, 'echo', {}, options)).toMatchObject(expected);
  // Or a fleet behind a firewall would have thousands of them until the kernel gives up.
  await vi.waitFor(() => expect(connecting()).toBe(before), { timeout: 10_000, interval: 100 });
});

test('a server that never acknowledges the end does not hold us', async () => {
  await using server = await httpListener((request, response, body) => {
    if (request.method === 'DELETE') return undefined;
    if (!body.includes('"id"')) return response.writeHead(202).end();
    return response.writeHead(200, { ...json, 'mcp-session-id': 'a' }).end(reply(body, initialized({ capabilities: {} })));
  });
  const started = performance.now();
  expect(await probe({ url: server.url })).toMatchObject({ outcome: 'Verified' });
  expect(performance.now() - started).toBeLessThan(2_000);
});

const overTcp: Record<string, { talk: Parameters<typeof tcpListener>[0]; outcome: string; message: string }> = {
  'a server that accepts and stays silent times out': {
    talk: () => undefined,
    outcome: 'Timeout',
    message: 'the server accepts connections, but an answer to',
  },
  'a server that hangs up at once is told': {
    talk: (socket) => socket.destroy(),
    outcome: 'ProtocolError',
    message: 'closed the connection without an HTTP answer',
  },
  'a server of another protocol is quoted': {
    talk: (socket) => socket.write('220 mail.example ESMTP\r\n'),
    outcome: 'ProtocolError',
    message: 'is not HTTP',
  },
  'a body that breaks off is told': {
    talk: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"json'),
    outcome: 'ProtocolError',
    message: 'the connection broke in the middle of the answer to initialize',
  },
};

describe('over TCP', () => {
  test.each(Object.entries(overTcp))('%s', async (_, { talk, outcome, message }) => {
    await using server = await tcpListener(talk);
    expect(await probe({ url: server.url }, { limits })).toMatchObject({ outcome, message: expect.stringContaining(message) });
  });

  test('a port where nobody listens is refused', async () => {
    const server = await tcpListener(() => undefined);
    await server[Symbol.asyncDispose]();
    expect(await probe({ url: server.url }, { limits })).toMatchObject({
      outcome: 'ConnectionRefused',
      message: expect.stringContaining('nothing listens at 127.0.0.1 port'),
    });
  });

  test('a name that does not exist is told', async () => {
    const result = await probe({ url: new URL('http://no-such-name.invalid/mcp') });
    expect(result).toMatchObject({
      outcome: 'ConnectionRefused',
      message: expect.stringContaining('the name no-such-name.invalid does not resolve'),
    });
  });

  test('https to a server of http is told', async () => {
    await using server = await scripted({});
    const url = new URL(server.url);
    url.protocol = 'https:';
    expect(await probe({ url }, { limits })).toMatchObject({
      outcome: 'ProtocolError',
      message: expect.stringMatching(/TLS|without an HTTP answer/),
    });
  });
});

describe('over HTTP+SSE', () => {
  const cases: Record<string, Case> = {
    'an endpoint on another host is not used': {
      answer: (_request, response) => response.writeHead(200, stream).write('event: endpoint\ndata: http://attacker.example/steal\n\n'),
      outcome: 'ProtocolError',
      message:
        'the first event must be "endpoint" with an address on the same host, but it is "endpoint" with "http://attacker.example/steal"',
    },
    'a stream without endpoint is told': {
      answer: (_request, response) => response.writeHead(200, stream).end(': hello\n\n'),
      outcome: 'ProtocolError',
      message: 'the event stream ended without an endpoint event',
    },
    'a first event that is none is quoted': {
      answer: (_request, response) => response.writeHead(200, stream).write('data: tick\n\n'),
      outcome: 'ProtocolError',
      message: 'but it is "message" with "tick"',
    },
    'a POST that is refused is told': {
      answer: (request, response) =>
        request.method === 'GET'
          ? response.writeHead(200, stream).write('event: endpoint\ndata: /post\n\n')
          : response.writeHead(500).end('no'),
      outcome: 'ProtocolError',
      message: 'HTTP 500 to initialize',
    },
    'an answer that never comes times out': {
      answer: (request, response) =>
        request.method === 'GET'
          ? response.writeHead(200, stream).write('event: endpoint\ndata: /post\n\n')
          : response.writeHead(202).end(),
      outcome: 'Timeout',
      message: 'an answer to initialize did not come',
    },
    'a stream that ends while an answer is due is told': {
      answer: (request, response) => {
        if (request.method === 'POST') return response.writeHead(202).end();
        response.writeHead(200, stream).write('event: endpoint\ndata: /post\n\n');
        return setTimeout(() => response.end(), 30);
      },
      outcome: 'ProtocolError',
      message: 'the event stream ended while an answer was due',
    },
    'streamable HTTP instead doubts the path': {
      answer: (_request, response) => response.writeHead(405).end(),
      outcome: 'ProtocolError',
      message: 'HTTP 405 to GET',
    },
  };
  test.each(Object.entries(cases))('%s', async (_, { answer, outcome, message }) => {
    await using server = await httpListener(answer);
    expect(await probe({ url: server.url, transport: 'SSE' }, { limits })).toMatchObject({
      outcome,
      message: expect.stringContaining(message as string),
    });
  });
});

describe('whatever a server sends', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '{',
      '[',
      '"jsonrpc":"2.0",',
      '"id":1',
      '"id":2',
      '"result":{}',
      '"error":{"code":-32022}',
      'data: ',
      '\n\n',
      'event: endpoint\n',
      ':',
    ),
    fc.constantFrom(
      '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}}',
      'data: {"jsonrpc":"2.0","id":2,"result":null}\n\n',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const response = fc.record({
    status: fc.constantFrom(200, 200, 200, 202, 301, 307, 400, 401, 403, 404, 405, 421, 500, 999),
    headers: fc.record(
      {
        'content-type': fc.constantFrom('application/json', 'text/event-stream', 'text/html', 'APPLICATION/JSON; charset=utf-8', ''),
        'mcp-session-id': fc.string({ maxLength: 5 }),
        location: fc.constantFrom('/mcp/', 'http://[', '//x', ''),
        'content-encoding': fc.constantFrom('gzip', 'identity'),
        'www-authenticate': fc.string({ unit: 'binary', maxLength: 10 }),
      },
      { requiredKeys: [] },
    ),
    body: fc.array(piece, { maxLength: 6 }),
  });
  test('is a result with words that can be printed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(response, { minLength: 1, maxLength: 6 }),
        fc.constantFrom('SSE' as const, 'StreamableHTTP' as const),
        async (responses, transport) => {
          let count = 0;
          const send: Send = async () => {
            const { status, headers, body } = responses[count++ % responses.length] ?? { status: 500, headers: {}, body: [] };
            async function* chunks() {
              for (const part of body) yield Buffer.from(part);
            }
            return { status, headers, body: chunks(), cancel: () => undefined };
          };
          const result = await probe(
            { url: new URL('http://x/mcp'), transport, send },
            { limits: { timeoutMs: 1_000, messageBytes: 4_096 } },
          );
          expect(result.message).not.toMatch(/[^\P{C}\uFFFD]/u);
          expect(result.message.length).toBeLessThan(1_000);
        },
      ),
      { numRuns: 300 },
    );
  });
});
