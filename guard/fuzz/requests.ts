import type { Random } from './random.ts';
import { mutated } from './random.ts';

/** One connection's worth of bytes from a hostile caller. */
export interface Input {
  readonly bytes: Buffer;
  /** Where the bytes are cut into packets. */
  readonly cuts: readonly number[];
  /** The caller goes away before an answer. */
  readonly hasty: boolean;
  /** Bodies as a parser takes them out of their chunks; whole bodies are found in `bytes`. Absent: chunks were changed, so that nobody knows. */
  readonly payloads?: readonly Buffer[];
}

/** Names its input to the server behind the guard. */
export const MARK = 'x-fuzz';

const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

/** Messages, of which `tools/call` of `delete` and everything unlisted must not pass. `@` is a running number. */
const MESSAGES: readonly [string, ...string[]] = [
  '{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"list","arguments":{}}}',
  '{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"list","arguments":{"a":[1,2.50,{"b":"\\u00e9\\n"}]}}}',
  '{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"delete","arguments":{}}}',
  '{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"delete","arguments":{"name":"list"}}}',
  '{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"arguments":{},"name":"list","task":{"ttl":1}}}',
  '{"jsonrpc":"2.0","id":"@","method":"tools/list"}',
  '{"jsonrpc":"2.0","id":@,"method":"tools/list","params":{"cursor":"x"}}',
  '{"jsonrpc":"2.0","id":@,"method":"resources/read","params":{"uri":"file:///a"}}',
  '{"jsonrpc":"2.0","id":@,"method":"resources/read","params":{"uri":"file:///b/../etc"}}',
  '{"jsonrpc":"2.0","id":@,"method":"resources/subscribe","params":{"uri":"file:///a"}}',
  '{"jsonrpc":"2.0","id":@,"method":"prompts/get","params":{"name":"p"}}',
  '{"jsonrpc":"2.0","id":@,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}}',
  '{"jsonrpc":"2.0","id":@,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"fuzz","version":"1"}}}',
  '{"jsonrpc":"2.0","id":@,"method":"ping"}',
  '{"jsonrpc":"2.0","id":@,"method":"vendor/run","params":{"name":"delete"}}',
  '{"jsonrpc":"2.0","id":@,"method":"tasks/get","params":{"taskId":"t"}}',
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":@}}',
  '{"jsonrpc":"2.0","id":"q1","result":{}}',
  '{"jsonrpc":"2.0","id":@,"error":{"code":1,"message":"x"}}',
  '[{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"delete"}}]',
  `{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"list","arguments":{},${META}}}`,
  `{"jsonrpc":"2.0","id":@,"method":"tools/call","params":{"name":"delete","arguments":{},${META}}}`,
  `{"jsonrpc":"2.0","id":@,"method":"tools/list","params":{${META}}}`,
  `{"jsonrpc":"2.0","id":@,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]},${META}}}`,
];

const FIELDS: readonly [string, ...string[]] = [
  'Authorization: Bearer canary',
  'X-Api-Key: canary',
  'Cookie: a=canary',
  'Proxy-Authorization: canary',
  'X-Mcp-Fleet-Hop: 1',
  'x-mcp-fleet-user: root',
  'Origin: https://evil.example',
  'Origin: http://localhost',
  'Connection: close, mcp-method',
  'Connection: authorization',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Content-Encoding: gzip',
  'Content-Type: text/plain',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : identity',
  'MCP-Protocol-Version: 2026-07-28',
  'MCP-Protocol-Version: 2025-11-25',
  'Mcp-Method: tools/call',
  'Mcp-Method: tools/list',
  'Mcp-Name: list',
  'Mcp-Name: delete',
  'Mcp-Name: =?base64?ZGVsZXRl?=',
  'Last-Event-ID: 7',
  'Mcp-Session-Id: forged.AAAAAAAAAAAAAAAAAAAAAA',
  'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'Te: trailers',
  'X-Folded: a\r\n b',
  'X-Bare: a\rb',
  'NoColon',
  ': empty',
];

const LINES: readonly [string, ...string[]] = [
  'GET /mcp HTTP/1.1',
  'DELETE /mcp HTTP/1.1',
  'OPTIONS /mcp HTTP/1.1',
  'PUT /mcp HTTP/1.1',
  'TRACE /mcp HTTP/1.1',
  'CONNECT host:80 HTTP/1.1',
  'POST /mcp?x=1 HTTP/1.1',
  'POST /mcp/../mcp HTTP/1.1',
  'POST //mcp HTTP/1.1',
  'POST http://other/mcp HTTP/1.1',
  'POST /mcp HTTP/1.0',
  'POST /mcp HTTP/2.0',
  'GET /.well-known/oauth-protected-resource HTTP/1.1',
  'GET /.well-known/../mcp HTTP/1.1',
  'GET /.mcp-fleet/peer?nonce=0&boot=x HTTP/1.1',
  'PRI * HTTP/2.0',
];

/** The input of one seed. `sessions` are ids that the guard gave out before. */
export function input(random: Random, index: number, sessions: readonly string[]): Input {
  if (random.once(50)) return packed(random, random.bytes(random.below(400)), []);
  const requests = Array.from({ length: random.once(8) ? 2 + random.below(2) : 1 }, () => request(random, index, sessions));
  const whole = Buffer.concat(requests.map(({ bytes }) => bytes));
  const payloads = requests.flatMap((each) => each.payloads);
  if (!random.once(12)) return packed(random, whole, payloads);
  return packed(random, mutated(random, whole), payloads.length > 0 ? undefined : []);
}

function packed(random: Random, bytes: Buffer, payloads: readonly Buffer[] | undefined): Input {
  const cuts = random.once(3)
    ? Array.from({ length: random.below(6) }, () => random.below(bytes.length + 1)).toSorted((a, b) => a - b)
    : [];
  return { bytes, cuts, hasty: random.once(15), ...(payloads === undefined ? {} : { payloads }) };
}

function request(random: Random, index: number, sessions: readonly string[]): Required<Pick<Input, 'bytes' | 'payloads'>> {
  const message = random.pick(MESSAGES).replaceAll('@', String(index));
  const body = bodyOf(random, message);
  const line = random.once(8) ? random.pick(LINES) : 'POST /mcp HTTP/1.1';
  const head = [line, 'Host: 127.0.0.1', `${MARK}: ${index}`, 'Accept: application/json, text/event-stream'];
  if (!random.once(3)) head.push('Connection: close');
  if (!random.once(20)) head.push('Content-Type: application/json');
  if (message.includes(META) && !random.once(4)) head.push(...standardFields(message));
  const session = sessions[random.below(Math.max(1, sessions.length))];
  if (session !== undefined && random.once(4)) head.push(`Mcp-Session-Id: ${session}`);
  for (let left = random.once(3) ? 1 + random.below(3) : 0; left > 0; left -= 1) head.push(random.pick(FIELDS));
  if (random.once(200)) head.push(`X-Large: ${'x'.repeat(20_000)}`);
  if (line.startsWith('GET') && !random.once(4)) return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n`), payloads: [] };
  if (random.once(6)) return chunked(random, head, body);
  head.push(`Content-Length: ${random.once(25) ? random.below(body.length * 2 + 2) : body.length}`);
  return { bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]), payloads: [] };
}

function standardFields(message: string): readonly string[] {
  const method = /"method":"([^"]+)"/.exec(message)?.[1] ?? '';
  const name = method === 'tools/call' ? [`Mcp-Name: ${/"name":"([^"]+)"/.exec(message)?.[1]}`] : [];
  return ['MCP-Protocol-Version: 2026-07-28', `Mcp-Method: ${method}`, ...name];
}

function bodyOf(random: Random, message: string): Buffer {
  if (random.once(100)) return Buffer.from(message.replace('{}', nested(30 + random.below(100_000))));
  if (random.once(100)) return Buffer.from(message.replace('{}', `{"big":"${'x'.repeat(random.below(600_000))}"}`));
  if (random.once(200)) return Buffer.from(message.replace('{}', `{${many(random.below(5_000))}}`));
  if (random.once(4)) return Buffer.from(withMember(random, message));
  return random.once(2) ? Buffer.from(message) : mutated(random, Buffer.from(message));
}

/** Members that one reader may take for another one, before a member that is there. */
const MEMBERS: readonly [string, ...string[]] = [
  '"name":"delete",',
  '"Name":"delete",',
  '"n\\u0061me":"delete",',
  '"name\\u0000":"delete",',
  '"\uff4eame":"delete",',
  '"method":"tools/call",',
  '"METHOD":"tools/call",',
  '"params":{"name":"delete"},',
  '"param\u017f":{"name":"delete"},',
  '"uri":"file:///etc",',
  '"ta\u017f\u212aId":"t",',
  '"id":7,',
  '"Id":8,',
  '"arguments":{"x":1},',
  '"x":"\\ud800",',
  '"__proto__":{"name":"delete"},',
];

function withMember(random: Random, message: string): string {
  const places = [...message.matchAll(/(?<=[{,])(?=")/g)].map(({ index }) => index);
  const at = places[random.below(Math.max(1, places.length))] ?? 1;
  return `${message.slice(0, at)}${random.pick(MEMBERS)}${message.slice(at)}`;
}

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const many = (count: number): string => Array.from({ length: count }, (_, at) => `"k${at}":${at}`).join(',');

function chunked(random: Random, head: readonly string[], body: Buffer): Required<Pick<Input, 'bytes' | 'payloads'>> {
  const parts: Buffer[] = [Buffer.from(`${head.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`)];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random.below(random.once(3) ? 8 : 400));
    const written = random.once(60) ? random.below(1_000) : size;
    const extension = random.once(20) ? ';x="y"' : '';
    parts.push(Buffer.from(`${written.toString(16)}${extension}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  parts.push(Buffer.from(random.once(20) ? '0\r\nAuthorization: canary\r\n\r\n' : '0\r\n\r\n'));
  return { bytes: Buffer.concat(parts), payloads: [body] };
}
