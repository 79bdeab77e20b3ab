import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../testing/pods.ts';
import { HttpUpstream } from './http.ts';
import type { UpstreamFailure } from './upstream.ts';
import { nobody } from './upstream.ts';

/** What a failed exchange says of whether the server may have seen the request: sent again is only what it cannot have seen. */

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

function failed(url: string): Promise<UpstreamFailure> {
  const upstream = new HttpUpstream({ url: new URL(url) });
  stopping.push(() => upstream.close());
  return new Promise((resolve, reject) => {
    const unexpected = (): void => reject(new Error('the exchange did not fail'));
    const sink = { head: unexpected, data: () => true, end: unexpected, fail: resolve };
    upstream.send({ method: 'POST', query: '', headers: [], body: Buffer.from('{}'), caller: nobody }, sink);
  });
}

/** The guard's end of the connections to this port, as they come about. */
function connections(port: number): readonly Socket[] {
  const sockets: Socket[] = [];
  const listen = (message: unknown): void => {
    const { connectParams, socket } = message as { readonly connectParams: { readonly port: string }; readonly socket: Socket };
    if (Number(connectParams.port) === port) sockets.push(socket);
  };
  subscribe('undici:client:connected', listen);
  stopping.push(async () => void unsubscribe('undici:client:connected', listen));
  return sockets;
}

describe('a request that got onto a connection', () => {
  test.each([
    ['ETIMEDOUT', 504],
    ['EHOSTUNREACH', 504],
    ['ENETUNREACH', 504],
    ['ECONNRESET', 502],
    ['EPIPE', 502],
  ])('may have been seen when that fails with %s', async (code, status) => {
    const server = createServer((theirs) => {
      theirs.on('error', () => undefined);
      theirs.once('data', () => ours[0]?.destroy(Object.assign(new Error(`read ${code}`), { code, syscall: 'read' })));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ours = connections(port);
    stopping.push(async () => void server.close());
    const { unseen, status: told } = await failed(`http://127.0.0.1:${port}/mcp`);
    expect([told, unseen]).toEqual([status, undefined]);
  });
});

describe('a request without a connection was not seen', () => {
  test.each(['127.0.0.1', 'localhost'])('where nobody listens on %s', async (host) => {
    const { unseen, status } = await failed(`http://${host}:${await freePort()}/mcp`);
    expect([status, unseen]).toEqual([502, true]);
  });

  test('where the name leads nowhere', async () => {
    expect(await failed('http://nowhere.invalid/mcp')).toMatchObject({ status: 502, unseen: true });
  });
});
