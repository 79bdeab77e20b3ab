import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Bundle } from '../../mcp/policy/bundle.ts';
import { bundle } from './bundle.ts';
import type { ServedSdk } from './everything/legacy.ts';
import { serveLegacy } from './everything/legacy.ts';
import type { RunningGuard } from './running.ts';
import { runGuard } from './running.ts';

/** All guards of these pods share one sealing key, as those of one server do. */
const KEY = randomBytes(32);

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export interface Pod {
  readonly address: string;
  readonly url: string;
  readonly guard: RunningGuard;
  readonly server: ServedSdk;
}

/** A pod: on the loopback every address of 127/8 is another machine. */
export async function startPod(
  index: number,
  port: number,
  rules: Bundle = bundle(),
  farewell = '0',
  more: readonly string[] = [],
): Promise<Pod> {
  const address = `127.0.0.${index}`;
  const server = await serveLegacy();
  const flags = [
    '--address',
    address,
    '--data-port',
    String(port),
    '--pod-address',
    address,
    '--drain-seconds',
    '2',
    '--farewell-seconds',
    farewell,
    ...more,
  ];
  const guard = await runGuard({
    upstream: server.url,
    bundle: rules,
    sealingKey: KEY,
    flags,
    apiKeys: { one: 'key-one', two: 'key-two' },
  });
  return { address, url: `http://${address}:${port}/mcp`, guard, server };
}

export async function startPods(count: number, rules?: Bundle): Promise<Pod[]> {
  const port = await freePort();
  const made: Pod[] = [];
  for (let index = 1; index <= count; index += 1) {
    const each = await startPod(index, port, rules);
    made.push(each);
  }
  return made;
}

/** A load balancer that knows no sessions: every request goes to the next pod. */
export function balanced(members: () => readonly Pod[]): typeof fetch {
  let turn = 0;
  return (_input, init) => {
    const all = members();
    const member = all[turn % all.length];
    turn += 1;
    return fetch(member?.url ?? '', init);
  };
}
