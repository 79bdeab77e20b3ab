import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../e2e/cluster/cluster.ts';
import { Client } from '../kube/client.ts';
import type { Credentials } from '../kube/credentials.ts';
import { kubeconfig } from '../kube/kubeconfig.ts';
import { ConfigMaps, Secrets } from '../kube/resources.ts';
import { Transport } from '../kube/transport.ts';
import type { ConfigMap, Secret } from '../kube/wire.ts';
import { Reflector, type ReflectorOptions, systemClock } from './reflector.ts';
import { ObjectStore } from './store.ts';
import { definition, Echoes, echo, echoOperator, install } from './testing/echo-operator.ts';
import { CustomResourceDefinitions } from '../kube/resources.ts';

let cluster: Cluster;
let credentials: Credentials;
let transport: Transport;
let user: Client;

beforeAll(async () => {
  // What the storage forgets is then gone within seconds instead of five minutes.
  cluster = await startCluster({ controlPlaneOnly: true, apiServerFlags: ['--etcd-compaction-interval=1s'] });
  credentials = await kubeconfig({ path: cluster.kubeconfigPath });
  transport = new Transport({ credentials, userAgent: 'test' });
  user = new Client(transport);
  await install(user, 'Echo', 'echoes', AbortSignal.timeout(30_000));
});
afterAll(async () => {
  await transport?.close();
  await cluster?.stop();
});

const configMap = (name: string, text = '', labels: Record<string, string> = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels },
  data: { text },
});
const put = (object: ConfigMap) => user.apply(ConfigMaps, object, { fieldManager: 'test' });
const pause = (milliseconds: number) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

function reflect(options: Partial<ReflectorOptions<ConfigMap>> = {}) {
  const store = new ObjectStore<ConfigMap>('configmaps');
  const happened: string[] = [];
  const told: string[] = [];
  store.subscribe(({ key, old, new: next }) => told.push(`${old === undefined ? 'new' : next === undefined ? 'gone' : 'changed'} ${key}`));
  const stop = new AbortController();
  const reflector = new Reflector<ConfigMap>({
    client: user,
    resource: ConfigMaps,
    store,
    namespace: 'default',
    observer: {
      listed: (how, objects) => happened.push(`${how} ${objects}`),
      failed: (error) => happened.push(String((error as { code?: string }).code)),
    },
    ...options,
  });
  const running = reflector.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return { store, happened, told, end };
}

it('streams lists, follows selectors, and holds nothing else', async () => {
  await put(configMap('chosen', 'x', { team: 'a' }));
  await put(configMap('other', 'x', { team: 'b' }));
  const { store, happened, told, end } = reflect({ labelSelector: 'team=a' });
  await store.whenSynced(AbortSignal.timeout(5000));
  expect([...store.keys()]).toEqual(['default/chosen']);
  expect(happened).toEqual(['streamed 1']);
  // An object that ceases to match is gone for us.
  await put(configMap('chosen', 'x', { team: 'b' }));
  await expect.poll(() => told).toEqual(['new default/chosen', 'gone default/chosen']);
  await end();
});

it('reads of a Secret nothing but metadata', async () => {
  const secret: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'default' },
    stringData: { password: 'hunter2' },
  };
  await user.apply(Secrets, secret, { fieldManager: 'test' });
  const store = new ObjectStore<Secret>('secrets');
  const stop = new AbortController();
  const running = new Reflector<Secret>({ client: user, resource: Secrets, store, metadataOnly: true }).run(stop.signal);
  await store.whenSynced(AbortSignal.timeout(5000));
  const before = store.get('default/s');
  expect(Object.keys(before ?? {}).toSorted()).toEqual(['apiVersion', 'kind', 'metadata']);
  await user.mergePatch(Secrets, secret.metadata, { stringData: { password: 'hunter3' } });
  await expect.poll(() => store.get('default/s')?.metadata.resourceVersion).not.toBe(before?.metadata.resourceVersion);
  expect(JSON.stringify(store.get('default/s'))).not.toContain('aHVudGVy');
  stop.abort();
  await running;
});

it('goes on after an API server that was restarted, without telling anything twice', async () => {
  await put(configMap('before', '1'));
  const { store, told, end } = reflect();
  await store.whenSynced(AbortSignal.timeout(5000));
  const known = told.length;
  await cluster.component('kube-apiserver').restart();
  await put(configMap('after', '1'));
  await expect.poll(() => store.has('default/after'), { timeout: 40_000 }).toBe(true);
  expect(told.slice(known)).toEqual(['new default/after']);
  await end();
}, 90_000);

it('lists again when the storage has forgotten where it was (a genuine 410), and tells what went meanwhile', async () => {
  await put(configMap('doomed', '1'));
  await put(configMap('stays', '1'));
  let goOn = (): void => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  // The first thing that fails is the watch, when the API server goes; then nothing is asked until the test says so.
  const clock = { ...systemClock, sleep: () => held };
  const { store, told, happened, end } = reflect({ clock });
  await store.whenSynced(AbortSignal.timeout(5000));
  const known = told.length;
  await cluster.component('kube-apiserver').restart();
  await user.delete(ConfigMaps, { namespace: 'default', name: 'doomed' });
  for (let i = 0; i < 20; i++) await put(configMap('stays', String(i)));
  // Two rounds of compaction, and a watch cache that begins after them.
  await pause(3_000);
  await put(configMap('stays', 'last'));
  await cluster.component('kube-apiserver').restart();
  goOn();
  await expect.poll(() => store.get('default/stays')?.data?.['text'], { timeout: 40_000 }).toBe('last');
  expect(happened).toContain('Expired');
  expect(told.slice(known).filter((line) => line.includes('doomed'))).toEqual(['gone default/doomed']);
  await end();
}, 120_000);

it('an operator survives the restart of its API server and finishes its work', async () => {
  const operator = echoOperator(credentials, pino({ level: 'silent' }));
  await operator.manager.start();
  await user.apply(Echoes, echo('first', { replicas: 1 }), { fieldManager: 'test' });
  await expect.poll(() => operator.deployments.has('default/first')).toBe(true);
  await cluster.component('kube-apiserver').kill();
  const restarted = cluster.component('kube-apiserver').start();
  await restarted;
  await user.apply(Echoes, echo('second', { replicas: 1 }), { fieldManager: 'test' });
  await expect.poll(() => operator.echoes.get('default/second')?.status?.conditions[0]?.status, { timeout: 40_000 }).toBe('True');
  await operator.stop();
}, 90_000);

it('an optional kind that is installed later appears without a restart, and may go again', async () => {
  const operator = echoOperator(credentials, pino({ level: 'silent' }));
  const served: boolean[] = [];
  operator.mirrors.onServed((now) => served.push(now));
  await operator.manager.start();
  expect([operator.mirrors.synced, operator.mirrors.served]).toEqual([true, false]);
  await install(user, 'Mirror', 'mirrors', AbortSignal.timeout(10_000));
  await expect.poll(() => served, { timeout: 15_000 }).toEqual([true]);
  const mirror = { apiVersion: 'example.dev/v1', kind: 'Mirror', metadata: { name: 'm', namespace: 'default' } };
  await user.apply({ group: 'example.dev', version: 'v1', plural: 'mirrors', kind: 'Mirror', namespaced: true }, mirror, {
    fieldManager: 'test',
  });
  await expect.poll(() => operator.mirrors.size).toBe(1);
  await user.delete(CustomResourceDefinitions, definition('Mirror', 'mirrors').metadata);
  await expect.poll(() => [operator.mirrors.size, ...served], { timeout: 30_000 }).toEqual([0, true, false]);
  await operator.stop();
}, 90_000);
