import { once } from 'node:events';
import { connect } from 'node:net';

/** An answer as it was on the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Status line and header fields. */
  readonly head: string;
  /** With the framing of its transfer encoding, if it has one. */
  readonly body: string;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether the connection is closed when the answer begins, as a client that loses interest does. */
  readonly leaves?: boolean;
}

const STANDARD = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** One request on a connection of its own, with nothing between the test and the bytes. */
export async function exchange(url: URL, { method = 'POST', headers = {}, body, leaves = false }: RawRequest): Promise<RawAnswer> {
  const socket = connect({ host: url.hostname, port: Number(url.port === '' ? 80 : url.port) });
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const fields = { host: url.host, connection: 'close', ...(body === undefined ? {} : STANDARD), ...length, ...headers };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  socket.write(`${[`${method} ${url.pathname} HTTP/1.1`, ...head].join('\r\n')}\r\n\r\n${body ?? ''}`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (leaves) socket.destroy();
  });
  await once(socket, 'close');
  const [start = '', ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n');
  return { status: Number(start.split(' ')[1] ?? 0), head: start, body: rest.join('\r\n\r\n') };
}

/** A session of the legacy era, opened as a client opens it. */
export class RawSession {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(url: URL, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  static async open(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<RawSession> {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const answer = await exchange(url, { headers, body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }) });
    const id = /^mcp-session-id: (.*)$/im.exec(answer.head)?.[1]?.trim();
    const session = new RawSession(url, {
      ...headers,
      'mcp-protocol-version': '2025-06-18',
      ...(id === undefined ? {} : { 'mcp-session-id': id }),
    });
    await session.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return session;
  }

  send(body: string, more: RawRequest = {}): Promise<RawAnswer> {
    return exchange(this.#url, { ...more, body, headers: { ...this.#headers, ...more.headers } });
  }

  /** A request without a body. */
  ask(method: 'GET' | 'DELETE', more: RawRequest = {}): Promise<RawAnswer> {
    return exchange(this.#url, { ...more, method, headers: { accept: 'text/event-stream', ...this.#headers, ...more.headers } });
  }

  call(name: string, args: unknown = {}, id = 1): Promise<RawAnswer> {
    return this.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } }));
  }
}

/** What an answer says, without the time of day and with the name that the request had replaced by a fixed one. */
export function normalised({ head, body }: RawAnswer, name: string): string {
  return `${head.replace(/^date: .*$/im, 'date: -')}\r\n\r\n${body}`.replaceAll(name, 'THE-NAME-OF-THE-REQUEST');
}
