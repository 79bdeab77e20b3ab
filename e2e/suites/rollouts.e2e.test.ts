import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { MCPServer } from '../../api/mcpserver.ts';
import { ConfigMaps, Deployments, HorizontalPodAutoscalers, PodDisruptionBudgets } from '../../operator/kube/resources.ts';
import type { Deployment, Pod } from '../../operator/kube/wire.ts';
import { faulty, Fleet, UNGUARDED } from '../fleet.ts';
import { gone, type Kubectl, kubectlFor } from '../kubectl.ts';
import { Traffic } from '../traffic.ts';
import { Versions } from '../versions.ts';

let fleet: Fleet;
let kubectl: Kubectl;
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

const uids = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.uid ?? '').toSorted();

/** The server once its status counts so many pods. */
const counted = (namespace: string, name: string, replicas: number, seconds = 90): Promise<MCPServer> =>
  fleet.until(namespace, name, 'Available', { status: 'True' }, seconds).then(() =>
    fleet.eventually(
      () => fleet.ready(namespace, name, seconds),
      ({ status }) => status?.replicas === replicas && (status.readyReplicas ?? 0) === replicas,
      seconds,
      ({ status }) => JSON.stringify(status),
    ),
  );

const deployment = (namespace: string, name: string): Promise<Deployment> => fleet.client.get(Deployments, { namespace, name });

test('an autoscaler follows the real processor time, and the status follows the autoscaler', async () => {
  const namespace = await fleet.namespace();
  const behavior = { scaleDown: { stabilizationWindowSeconds: 0 } };
  await fleet.apply(
    namespace,
    'busy',
    faulty([], { resources: { requests: { cpu: '50m' } }, autoscaling: { minReplicas: 1, maxReplicas: 2, cpuUtilization: 200, behavior } }),
  );
  await fleet.ready(namespace, 'busy');
  expect((await deployment(namespace, 'busy')).spec?.replicas).toBe(1);
  expect(await fleet.find(PodDisruptionBudgets, { namespace, name: 'busy' })).toBeUndefined();

  const cooled = new AbortController();
  const load = (async () => {
    while (!cooled.signal.aborted) await fleet.call(namespace, 'busy', 'burn_cpu', { milliseconds: 1000 });
  })();
  await counted(namespace, 'busy', 2, 120);
  cooled.abort();
  await load;
  await counted(namespace, 'busy', 1, 120);
}, 300_000);

test('replicas and pods stay when autoscaling is switched on and off', async () => {
  const namespace = await fleet.namespace();
  const [fixed, scaled] = [
    faulty([], { replicas: 2 }),
    faulty([], { autoscaling: { minReplicas: 1, maxReplicas: 3, memoryUtilization: 1000 } }),
  ];
  await fleet.apply(namespace, 'scaled', fixed);
  await counted(namespace, 'scaled', 2);
  const pods = uids(await fleet.pods(namespace, 'scaled'));
  await using versions = await Versions.of(fleet.client, Deployments, namespace, 'scaled');

  await fleet.apply(namespace, 'scaled', scaled);
  await fleet.eventually(
    () => fleet.find(HorizontalPodAutoscalers, { namespace, name: 'scaled' }),
    (autoscaler) => autoscaler?.status?.currentReplicas === 2,
    60,
  );
  await counted(namespace, 'scaled', 2);

  await fleet.apply(namespace, 'scaled', fixed);
  await fleet.eventually(
    () => fleet.find(HorizontalPodAutoscalers, { namespace, name: 'scaled' }),
    (autoscaler) => autoscaler === undefined,
  );
  await counted(namespace, 'scaled', 2);

  expect(versions.seen.map(({ spec }) => spec?.replicas).filter((replicas) => replicas !== 2)).toEqual([]);
  expect(versions.seen.map(({ status }) => status?.readyReplicas).filter((ready) => ready !== 2)).toEqual([]);
  expect(uids(await fleet.pods(namespace, 'scaled'))).toEqual(pods);
});

test('a suspended server with an autoscaler has no pods, and its least number of pods afterwards', async () => {
  const namespace = await fleet.namespace();
  const autoscaling = { minReplicas: 2, maxReplicas: 3, memoryUtilization: 1000 };
  await fleet.apply(namespace, 'asleep', faulty([], { autoscaling }));
  await counted(namespace, 'asleep', 2);

  await fleet.apply(namespace, 'asleep', faulty([], { autoscaling, suspend: true }));
  await fleet.until(namespace, 'asleep', 'Ready', { status: 'True', reason: 'Suspended' });
  await fleet.eventually(
    () => fleet.pods(namespace, 'asleep'),
    (pods) => pods.length === 0,
  );
  expect(await fleet.find(HorizontalPodAutoscalers, { namespace, name: 'asleep' })).toBeDefined();
  expect(await fleet.find(PodDisruptionBudgets, { namespace, name: 'asleep' })).toBeUndefined();

  await fleet.apply(namespace, 'asleep', faulty([], { autoscaling, suspend: false }));
  await fleet.eventually(
    () => fleet.pods(namespace, 'asleep'),
    (pods) => pods.length === 2,
  );
  await counted(namespace, 'asleep', 2);
});

test('a disruption budget exists from two guaranteed pods on, and evictions obey it', async () => {
  const namespace = await fleet.namespace();
  const budget = () => fleet.find(PodDisruptionBudgets, { namespace, name: 'guarded' });
  const evict = async (pod: Pod | undefined): Promise<number> => {
    const { name } = pod?.metadata ?? { name: '' };
    const { statusCode, body } = await fleet.client.raw({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/pods/${name}/eviction`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } }),
    });
    await body.dump();
    return statusCode;
  };
  await fleet.apply(namespace, 'guarded', faulty([], { replicas: 1 }));
  await counted(namespace, 'guarded', 1);
  expect(await budget()).toBeUndefined();

  await fleet.apply(namespace, 'guarded', faulty([], { replicas: 2 }));
  await counted(namespace, 'guarded', 2);
  await fleet.eventually(budget, (found) => found?.status?.disruptionsAllowed === 1);
  const [one, other] = await fleet.pods(namespace, 'guarded');
  expect(await evict(one)).toBe(201);
  expect(await evict(other)).toBe(429);
  await fleet.eventually(
    () => evict(other),
    (code) => code === 201,
    60,
  );

  await fleet.apply(namespace, 'guarded', faulty([], { replicas: 1 }));
  await fleet.eventually(budget, (found) => found === undefined);
  await counted(namespace, 'guarded', 1);
  const [last] = await fleet.pods(namespace, 'guarded');
  expect(await evict(last)).toBe(201);
});

test('rollouts without a guard lose no call, not even of a single pod', async () => {
  const namespace = await fleet.namespace();
  const name = 'called';
  const spec = (generation: string) =>
    faulty([], {
      ...UNGUARDED,
      env: [
        { name: 'GENERATION', value: generation },
        { name: 'GREETING', valueFrom: { configMapKeyRef: { name: 'greetings', key: 'morning' } } },
      ],
    });
  const configMap = (morning: string) => ({
    apiVersion: 'v1' as const,
    kind: 'ConfigMap' as const,
    metadata: { name: 'greetings', namespace },
    data: { morning },
  });
  await fleet.client.create(ConfigMaps, configMap('hello'));
  await fleet.apply(namespace, name, spec('1'));
  await fleet.ready(namespace, name);
  const where = await fleet.url(namespace, name);
  const rolled = async (before: readonly Pod[]): Promise<Pod[]> => {
    // Until the old pod has really gone: that is when its last connections end.
    await gone(kubectl, namespace, before);
    await counted(namespace, name, 1);
    return fleet.pods(namespace, name);
  };

  const traffic = new Traffic(where, 'where');
  const rollouts: Readonly<Record<string, () => Promise<unknown>>> = {
    'a changed variable': () => fleet.apply(namespace, name, spec('2')),
    'kubectl rollout restart': () => kubectl(['rollout', 'restart', `deployment/${name}`, '-n', namespace]),
    'a changed ConfigMap': () => fleet.client.apply(ConfigMaps, configMap('good morning'), { fieldManager: 'e2e', force: true }),
  };
  {
    await using _ = traffic;
    let pods = await fleet.pods(namespace, name);
    for (const [why, start] of Object.entries(rollouts)) {
      const before = { new: traffic.answered('New'), kept: traffic.answered('Kept') };
      await start();
      pods = await rolled(pods);
      expect(traffic.lost, `lost during ${why}`).toEqual([]);
      expect(traffic.answered('New'), why).toBeGreaterThan(before.new);
      expect(traffic.answered('Kept'), why).toBeGreaterThan(before.kept);
    }
  }
  expect(await fleet.call(namespace, name, 'read_variable', { name: 'GENERATION' })).toBe('2');
  expect(await fleet.call(namespace, name, 'read_variable', { name: 'GREETING' })).toBe('good morning');
  process.stdout.write(
    `three rollouts of one pod: ${traffic.answered('New')} calls on new connections, ${traffic.answered('Kept')} on kept ones, none lost\n`,
  );
}, 600_000);
