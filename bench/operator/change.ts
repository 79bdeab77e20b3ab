import { Agent } from 'undici';
import { startCluster } from '../../e2e/cluster/cluster.ts';
import type { Recording } from '../recording.ts';
import { round, summarize } from '../statistics.ts';
import { deploymentPath, mcpserver, nameOf, NAMESPACE, PooledClient, prepare, serverPath } from './load.ts';
import { OperatorProcess } from './process.ts';
import { type Seen, Watcher } from './watcher.ts';

const SAMPLES = 200;
const WARM_UP = 20;

/** How long one change takes on an idle operator, from the reply to the change until a watcher sees its effect. */
export async function change(recording: Recording): Promise<void> {
  await using cluster = await startCluster({ name: 'bench', controlPlaneOnly: true });
  await using client = new PooledClient(cluster);
  await prepare(client);
  const operator = await OperatorProcess.spawn(cluster.kubeconfigPath, `${cluster.logsFolder}/operator.log`);
  await operator.ready();
  const agent = new Agent({
    allowH2: false,
    connect: { ca: cluster.caPem, cert: cluster.adminCertificate.certificate, key: cluster.adminCertificate.key },
  });
  const end = new AbortController();
  const watch = (path: string): Promise<Watcher> => Watcher.open(cluster.apiServerUrl, path, agent, end.signal);
  const deployments = await watch(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments`);
  const services = await watch(`/api/v1/namespaces/${NAMESPACE}/services`);

  const named = (name: string, type: string) => (seen: Seen) => seen.object.metadata.name === name && seen.type === type;
  const measure = async (
    title: string,
    once: (index: number) => Promise<{ effect: Promise<number>; cause: () => Promise<unknown> }>,
  ): Promise<void> => {
    const times: number[] = [];
    for (let index = 0; index < SAMPLES + WARM_UP; index++) {
      const { effect, cause } = await once(index);
      await cause();
      const replied = performance.now();
      // The effect may be seen before the reply is read: that is no time at all.
      const time = Math.max(0, (await effect) - replied);
      if (index >= WARM_UP) times.push(time);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    const { p50, p99, max } = summarize(times);
    recording.add({ name: `${title}, p50`, value: round(p50, 2), unit: 'ms', bar: '≤ 5 ms', reached: p50 <= 5 });
    recording.add({
      name: `${title}, p99`,
      value: round(p99, 2),
      unit: 'ms',
      bar: '≤ 15 ms',
      reached: p99 <= 15,
      method: `${SAMPLES} samples, max ${round(max, 1)} ms`,
    });
  };

  await measure('create → Deployment visible', async (index) => ({
    effect: deployments.next(named(nameOf(index), 'ADDED')),
    cause: () => client.apply(serverPath(nameOf(index)), mcpserver(nameOf(index))),
  }));
  await measure('edit → Deployment updated', async (index) => ({
    effect: deployments.next((seen) => named(nameOf(index), 'MODIFIED')(seen) && JSON.stringify(seen.object.spec).includes('"edited"')),
    cause: () => client.apply(serverPath(nameOf(index)), mcpserver(nameOf(index), { env: [{ name: 'SERVER_NAME', value: 'edited' }] })),
  }));
  await measure('deleted Deployment → back', async (index) => ({
    effect: deployments.next(named(nameOf(index), 'ADDED')),
    cause: () => client.send('DELETE', deploymentPath(nameOf(index))),
  }));
  await measure('edited Service → back', async (index) => {
    const wrong = { spec: { ports: [{ name: 'mcp', port: 80, protocol: 'TCP', targetPort: 1 }] } };
    const isRight = (seen: Seen): boolean =>
      !JSON.stringify(seen.object.spec).includes('"targetPort":1,') && !JSON.stringify(seen.object.spec).includes('"targetPort":1}');
    let edited = false;
    const effect = services.next((seen) => {
      if (!named(nameOf(index), 'MODIFIED')(seen)) return false;
      if (!isRight(seen)) edited = true;
      return edited && isRight(seen);
    });
    const path = `/api/v1/namespaces/${NAMESPACE}/services/${nameOf(index)}`;
    return { effect, cause: () => client.send('PATCH', path, wrong, 'application/merge-patch+json') };
  });

  end.abort();
  await agent.destroy();
  await operator.stop();
}
