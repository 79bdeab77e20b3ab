import { connect } from 'node:net';
import { eventually } from './running.ts';

/**
 * Known ways to make a proxy judge another request than the server runs, byte for byte: `list` is allowed, and `delete` is what the attacker wants.
 */

export const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{}}}';
const DENIED = CALL.replace('"list"', '"delete"');
const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const MODERN = 'MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n';

export interface Attack {
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

export const ATTACKS: readonly Attack[] = [
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

/** The same attack on other tools. */
export function aimed(attack: Attack, allowed: string, denied: string): Attack {
  const aim = (text: string): string =>
    text
      .replaceAll('"list"', `"${allowed}"`)
      .replaceAll('Mcp-Name: list', `Mcp-Name: ${allowed}`)
      .replaceAll('ZGVsZXRl', Buffer.from(denied).toString('base64'))
      .replaceAll('delete', denied)
      // The only length that is written into an attack.
      .replace(/(?<=Content-Length: )\d+(?=\r\n\r\n\{)/, (length) => String(Number(length) + denied.length - 'delete'.length));
  const { body, head, raw } = attack;
  return {
    ...attack,
    body: typeof body === 'string' ? aim(body) : Buffer.from(aim(body.toString('latin1')), 'latin1'),
    ...(head === undefined ? {} : { head: aim(head) }),
    ...(raw === undefined ? {} : { raw: aim(raw) }),
  };
}

/** Sends bytes and reads until the connection rests or closes. */
export async function exchange(port: number, bytes: Buffer): Promise<string> {
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

/** What goes over the wire; `session` is a line of the head, or nothing. */
export function bytesOf({ body, head = '', type = 'application/json', line = 'POST /mcp HTTP/1.1', raw }: Attack, session = ''): Buffer {
  if (raw !== undefined) return Buffer.from(raw);
  const content = Buffer.from(body);
  const lines = `${line}\r\nHost: 127.0.0.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: ${type}\r\n${session}${head}Content-Length: ${content.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(lines), content]);
}
