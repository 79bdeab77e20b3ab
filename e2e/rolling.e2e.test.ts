import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConformantClient, type SDK } from './conformant.ts';
import { faulty, Fleet } from './fleet.ts';
import { gone, type Kubectl } from './kubectl.ts';
import { type OperatedCluster, operatedCluster } from './operated.ts';

/** On a cluster of its own: pods that wait for a processor which others have are late for everybody. */
let operated: OperatedCluster;
let kubectl: Kubectl;
let fleet: Fleet;
beforeAll(async () => {
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  operated = await operatedCluster({ name: 'rolling', registry: false, images: [], progress });
  ({ kubectl } = operated);
  fleet = await Fleet.of(operated.cluster.kubeconfigPath);
});
afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await operated?.[Symbol.asyncDispose]();
});

const SESSIONS = 200;
/** Between two calls of a session: as often as an agent that works, and what two cores carry. */
const PAUSE_MS = 4_000;
const SDKS: readonly SDK[] = ['v1', 'v2'];

test('a rolling restart of three pods ends no call of two hundred sessions, and each goes on in a new one', async ({ onTestFinished }) => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'good', faulty(['--era', 'Legacy', '--sessions'], { replicas: 3 }));
  await fleet.ready(namespace, 'good', 180);
  const failures: string[] = [];
  const traffic = { on: true, calls: 0 };
  onTestFinished(() => {
    traffic.on = false;
  });
  const clients = await connected(await fleet.url(namespace, 'good'));
  /** Those that were answered since the last pod of the old revision was gone. */
  const arrived = new Set<number>();
  let replaced = false;
  const callers = clients.map(async (client, index) => {
    await delay((index * PAUSE_MS) / SESSIONS);
    while (traffic.on) {
      const late = replaced;
      const message = `call ${traffic.calls} of ${index}`;
      const answer = await client.call('echo', { message }).catch((error: unknown) => `${new Date().toISOString()} ${String(error)}`);
      if (answer.includes(`"${message}"`)) traffic.calls += 1;
      else failures.push(answer);
      if (late) arrived.add(index);
      await delay(PAUSE_MS);
    }
  });
  const before = await fleet.pods(namespace, 'good');

  await kubectl(['rollout', 'restart', 'deployment/good', '-n', namespace]);
  await gone(kubectl, namespace, before);
  replaced = true;
  await fleet.eventually(
    () => Promise.resolve(arrived.size),
    (count) => count === SESSIONS,
    90,
    (count) => `${count} of ${SESSIONS} were answered; failures: ${failures.join('\n')}`,
  );
  traffic.on = false;
  await Promise.all(callers);
  await Promise.all(clients.map((client) => client.close().catch(() => undefined)));

  expect(failures).toEqual([]);
  // No stream broke off, and nothing else was out of order.
  expect(clients.flatMap(({ complaints }) => complaints)).toEqual([]);
  expect(clients.filter(({ sessions }) => sessions < 2)).toEqual([]);
}, 480_000);

/** Clients with sessions, half of each SDK; ten at a time begin theirs. */
async function connected(url: URL): Promise<ConformantClient[]> {
  const clients: ConformantClient[] = [];
  let next = 0;
  const connect = async (): Promise<void> => {
    while (next < SESSIONS) clients.push(await ConformantClient.connect(SDKS[next++ % SDKS.length] ?? 'v2', url));
  };
  await Promise.all(Array.from({ length: 10 }, connect));
  return clients;
}
