import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { limitPerAddress } from './connections.ts';
import { eventually } from './testing/running.ts';

const stopping: (() => void)[] = [];
afterEach(() => {
  for (const stop of stopping.splice(0).toReversed()) stop();
});

test('one address has no more connections than its share, others have theirs, and what is closed makes room', async () => {
  const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  limitPerAddress(server, 2);
  await once(server, 'listening');
  stopping.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  /** A request on a connection that stays. */
  const connect = async (localAddress: string): Promise<{ readonly served: boolean; readonly close: () => void }> => {
    const agent = new Agent({ keepAlive: true });
    stopping.push(() => agent.destroy());
    const request = get({ host: '127.0.0.1', port, localAddress, agent });
    const served = once(request, 'response').then(
      ([response]) => {
        response.resume();
        return true;
      },
      () => false,
    );
    return { served: await served, close: () => agent.destroy() };
  };
  const first = await connect('127.0.0.8');
  expect([first.served, (await connect('127.0.0.8')).served]).toEqual([true, true]);
  expect([(await connect('127.0.0.8')).served, (await connect('127.0.0.9')).served]).toEqual([false, true]);
  first.close();
  await eventually(async () => (await connect('127.0.0.8')).served, 'there is room again');
  expect((await connect('127.0.0.8')).served).toBe(false);
});
