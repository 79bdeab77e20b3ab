import type { Random } from './random.ts';
import { mutated } from './random.ts';

/** Words of a definition that the policy hides: no caller may read them. */
export const HIDDEN = 'hidden-description';

const TOOL_LIST = '{"name":"list","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}';
const TOOL_DELETE = `{"name":"delete","description":"${HIDDEN}","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}}`;

/** What the guard's own listing gets. */
export const TOOLS = [JSON.parse(TOOL_LIST), JSON.parse(TOOL_DELETE)] as readonly unknown[];

/** Lists in which the hidden tool is told apart by every reader, in forms that a filter could miss. */
function listing(random: Random, id: string): string {
  const items = random.pick([
    `${TOOL_LIST},${TOOL_DELETE}`,
    `${TOOL_DELETE},${TOOL_DELETE},${TOOL_LIST}`,
    TOOL_DELETE.replace('"delete"', '"\\u0064elete"'),
    TOOL_DELETE.replace('"name"', ' "name" : "list" , "name"'),
    TOOL_DELETE.replaceAll(',', ' ,\n\t'),
    `${TOOL_LIST},null,7,[${TOOL_DELETE}],${TOOL_DELETE}`,
    TOOL_DELETE.replace('"name":"delete",', ''),
    TOOL_DELETE.replace('"delete"', '["list"]'),
    TOOL_DELETE.replace('"destructiveHint"', '"readOnlyHint":true,"destructiveHint"'),
  ]);
  return random.pick([
    `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${items}]}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${items}],"nextCursor":"x","ttlMs":1e9,"cacheScope":"public"}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"tools":[],"tools":[${items}]}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${items}]},"result":{"tools":[]}}`,
    `[{"jsonrpc":"2.0","id":${id},"result":{"tools":[${items}]}}]`,
    ` {"result" : {"tools":[${items}]} , "id":${id},"jsonrpc":"2.0"} `,
    `{"jsonrpc":"2.0","id":"other","result":{"tools":[${items}]}}`,
  ]);
}

function result(random: Random, id: string): string {
  return random.pick([
    `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"done"}]}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"isError":true}}`,
    `{"jsonrpc":"2.0","id":${id},"error":{"code":-32603,"message":"x"}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required","inputRequests":{"a":{"method":"sampling/createMessage"}},"requestState":"s"}}`,
    `{"jsonrpc":"2.0","id":${id},"result":{"task":{"taskId":"t"}}}`,
    `{"jsonrpc":"2.0","id":${id},"result":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    `{"jsonrpc":"2.0","id":null,"result":null}`,
    'null',
    '"text"',
    '',
  ]);
}

const ASIDES: readonly [string, ...string[]] = [
  '{"jsonrpc":"2.0","id":"q1","method":"sampling/createMessage","params":{}}',
  '{"jsonrpc":"2.0","id":"q1","method":"roots/list"}',
  '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}',
  '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///b"}}',
  '{"jsonrpc":"2.0","method":7}',
  '{"jsonrpc":"2.0","id":{},"method":"ping"}',
];

/** An answer of a hostile server: raw bytes for its connection, cut into packets; it may end in the middle. */
export interface HostileAnswer {
  readonly packets: readonly Buffer[];
  /** What becomes of the connection in the end. */
  readonly end: 'close' | 'keep' | 'hang' | 'reset';
}

/** `list`: the request was for the tools, so that the answer may hold the hidden one. */
export function hostileAnswer(random: Random, id: string, list: boolean, get: boolean): HostileAnswer {
  if (random.once(60)) return { packets: [], end: random.pick(['close', 'hang', 'reset']) };
  if (random.once(60)) return { packets: [random.bytes(random.below(300))], end: 'close' };
  const text = list ? listing(random, id) : result(random, id);
  const whole = get || random.once(3) ? stream(random, text) : body(random, text, list);
  // What was broken may be anything, so it must hold nothing that is hidden.
  const bytes = !list && random.once(8) ? mutated(random, whole) : whole;
  const cut = !list && random.once(25) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
  return { packets: packets(random, cut), end: random.once(30) ? random.pick(['hang', 'reset']) : random.pick(['close', 'keep']) };
}

function body(random: Random, text: string, list: boolean): Buffer {
  const content = Buffer.from(text);
  const status =
    list || !random.once(10)
      ? '200 OK'
      : random.pick(['202 Accepted', '204 No Content', '301 Moved', '401 No', '404 No', '500 No', '999 Odd', '103 Early']);
  const head = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${list ? random.pick(['application/json', 'application/json; charset=utf-8', 'Application/JSON']) : random.pick(['application/json', 'text/html', 'application/octet-stream'])}`,
  ];
  if (random.once(4)) head.push(...fields(random));
  if (random.once(4)) {
    return Buffer.concat([
      Buffer.from(`${head.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n${content.length.toString(16)}\r\n`),
      content,
      Buffer.from('\r\n0\r\n\r\n'),
    ]);
  }
  const length = !list && random.once(20) ? random.below(content.length * 2 + 1) : content.length;
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n`), content]);
}

function fields(random: Random): readonly string[] {
  return [
    random.pick([
      'Mcp-Session-Id: upstream-session',
      'Set-Cookie: a=b',
      'Location: http://evil.example/',
      'Connection: x-secret\r\nX-Secret: 1',
      'ETag: "x"',
      'Content-Encoding: identity',
      'Keep-Alive: timeout=9999',
      `X-Large: ${'x'.repeat(random.below(14_000))}`,
      'X-Latin: \u00e9\u00ff',
      'Link: <a>; rel=preload',
    ]),
  ];
}

/** Server-sent events without a length: the end of the connection is the end of the body. */
function stream(random: Random, text: string): Buffer {
  const end = random.pick(['\n', '\r\n', '\r']);
  const event = (data: string): string => {
    const lines = random.once(4) ? data.split(/(?<=,)(?=")/) : [data];
    // Line ends between values are white space to whoever joins the lines.
    const written = lines.flatMap((line) => line.split(/\r\n|\n|\r/)).map((line) => `data:${random.once(3) ? '' : ' '}${line}`);
    const extra = random.pick([[], [`id: ${random.below(100)}`], ['event: message'], ['retry: 1'], [': comment'], ['unknown']]);
    return `${[...extra, ...written].join(end)}${end}${end}`;
  };
  const events = [
    ...(random.once(3) ? [`: ping${end}${end}`] : []),
    ...(random.once(2) ? [event(random.pick(ASIDES))] : []),
    event(text),
    ...(random.once(6) ? [event(random.pick(ASIDES))] : []),
    ...(random.once(100) ? [`data: ${'x'.repeat(random.below(2_000_000))}${end}`] : []),
  ];
  const mark = random.once(20) ? '\ufeff' : '';
  const head = ['HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Connection: close', ...(random.once(4) ? fields(random) : [])];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${mark}${events.join('')}`);
}

function packets(random: Random, bytes: Buffer): readonly Buffer[] {
  if (!random.once(2)) return [bytes];
  const cuts = Array.from({ length: 1 + random.below(8) }, () => random.below(bytes.length + 1)).toSorted((a, b) => a - b);
  return [0, ...cuts].map((from, at) => bytes.subarray(from, cuts[at] ?? bytes.length)).filter((packet) => packet.length > 0);
}
