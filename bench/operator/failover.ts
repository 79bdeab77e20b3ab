import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { startCluster } from '../../e2e/cluster/cluster.ts';
import type { Recording } from '../recording.ts';
import { round, summarize } from '../statistics.ts';
import { mcpserver, nameOf, NAMESPACE, PooledClient, prepare, serverPath } from './load.ts';
import { OperatorProcess } from './process.ts';
import { Watcher } from './watcher.ts';

const RUNS = 5;

/** Two replicas; the leader ends. Time until a server that was applied right before gets its Deployment from the other one. */
export async function failOver(recording: Recording): Promise<void> {
  await using cluster = await startCluster({ name: 'bench', controlPlaneOnly: true });
  await using client = new PooledClient(cluster);
  await prepare(client);
  const agent = new Agent({
    allowH2: false,
    connect: { ca: cluster.caPem, cert: cluster.adminCertificate.certificate, key: cluster.adminCertificate.key },
  });
  const end = new AbortController();
  const deployments = await Watcher.open(cluster.apiServerUrl, `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`, agent, end.signal);
  const spawn = (): Promise<OperatorProcess> =>
    OperatorProcess.spawn(cluster.kubeconfigPath, `${cluster.logsFolder}/operator.log`, [
      '--leader-elect=true',
      `--lease-namespace=${NAMESPACE}`,
    ]);

  let index = 0;
  const servedBySomeone = (): Promise<number> => {
    const name = nameOf(index++);
    const seen = deployments.next((event) => event.type === 'ADDED' && event.object.metadata.name === name);
    return client.apply(serverPath(name), mcpserver(name)).then(() => seen);
  };
  let leader = await spawn();
  await leader.ready();
  await servedBySomeone();
  let standby = await spawn();
  await standby.ready();
  for (const [signal, bar] of [
    ['SIGTERM', 3],
    ['SIGKILL', 17],
  ] as const) {
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      await delay(2_500);
      const stopped = performance.now();
      const gone = leader.stop(signal);
      const name = nameOf(index++);
      await client.apply(serverPath(name), mcpserver(name));
      times.push((await visible(client, name)) - stopped);
      await gone;
      leader = standby;
      standby = await spawn();
      await standby.ready();
    }
    const { p50, max } = summarize(times.map((time) => time / 1000));
    recording.add({
      name: `fail-over after ${signal}`,
      value: round(p50, 2),
      unit: 's',
      bar: `≤ ${bar} s`,
      reached: max <= bar,
      method: `median of ${RUNS}, max ${round(max, 2)} s`,
    });
  }
  await Promise.all([leader.stop(), standby.stop()]);
  end.abort();
  await agent.destroy();
}

/** Monotonic milliseconds at which the Deployment was first found. */
async function visible(client: PooledClient, name: string): Promise<number> {
  for (;;) {
    const found = await client.send('GET', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${name}`).catch(() => undefined);
    if (found !== undefined) return performance.now();
    await delay(10);
  }
}
