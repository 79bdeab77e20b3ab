import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { eventually, runGuard } from './testing/running.ts';

/** What the guard tells the operator about a server that does not work, in the same words as the operator's own verification. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

/** A server that does this to every connection. */
async function server(behave: (socket: Socket) => void): Promise<{ port: number; stop: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const listening = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    behave(socket);
  }).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = listening.address();
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (!listening.listening) return;
    listening.close();
    await once(listening, 'close');
  };
  stopping.push(stop);
  return { port: typeof address === 'object' && address !== null ? address.port : 0, stop };
}

const silent = (): void => {};
const answering = (bytes: string) => (socket: Socket) => void socket.once('data', () => socket.end(bytes));

test.each([
  ['accepts connections and never answers', silent, 'Timeout', 'did not come within 0.2 s from http://127.0.0.1:PORT/mcp'],
  ['answers bytes that are no HTTP', answering('\u0000\u0001 hello\r\n'), 'ProtocolError', 'what 127.0.0.1 port PORT answered is not HTTP'],
  [
    'hangs up',
    (socket: Socket) => void socket.once('data', () => socket.destroy()),
    'ProtocolError',
    'closed the connection without an HTTP answer',
  ],
  [
    'answers a web page',
    answering('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi'),
    'ProtocolError',
    'content type text/html',
  ],
  ['is not there', undefined, 'ConnectionRefused', 'nothing listens at 127.0.0.1 port PORT'],
] satisfies [string, ((socket: Socket) => void) | undefined, string, string][])(
  'a server that %s',
  async (_what, behave, outcome, words) => {
    const broken = await server(behave ?? silent);
    if (behave === undefined) await broken.stop();
    const { port } = broken;
    // The query of a remote server may hold its credential.
    const guard = await runGuard({ upstream: `http://127.0.0.1:${port}/mcp?key=canary`, flags: ['--verification-timeout', '0.2'] });
    stopping.push(guard.stop);
    const page = async (name: string): Promise<string> => (await fetch(`http://127.0.0.1:${guard.ports.admin}/${name}`)).text();
    await eventually(async () => (await page('inventory')).includes(`"outcome":"${outcome}"`), outcome);
    for (const text of [await page('inventory'), await page('readyz')]) {
      expect(text).toContain(words.replace('PORT', String(port)));
      expect(text).not.toContain('canary');
    }
  },
);
