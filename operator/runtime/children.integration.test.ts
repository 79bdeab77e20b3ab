import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../e2e/cluster/cluster.ts';
import { Client } from '../kube/client.ts';
import { isKubeError, KubeError } from '../kube/errors.ts';
import type { Credentials } from '../kube/credentials.ts';
import { kubeconfig } from '../kube/kubeconfig.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { ConfigMaps, Deployments, NetworkPolicies, RoleBindings, Roles } from '../kube/resources.ts';
import { Transport } from '../kube/transport.ts';
import type { ConfigMap, Deployment } from '../kube/wire.ts';
import { Children } from './children.ts';
import { conditionOf } from './conditions.ts';
import { kstatusViolations } from './kstatus.ts';
import { addFinalizer, removeFinalizer } from './finalizers.ts';
import { NameConflict, OWNER_INDEX, ownerFrom, ownerIndex } from './ownership.ts';
import { StatusWriter } from './status.ts';
import { ObjectStore } from './store.ts';
import { deployment, type Echo, Echoes, type EchoOperator, echo, echoOperator, FIELD_MANAGER, install } from './testing/echo-operator.ts';

const log = pino({ level: 'silent' });
let cluster: Cluster;
let credentials: Credentials;
let transport: Transport;
/** Somebody with all rights and another field manager. */
let user: Client;
let operator: EchoOperator;
let name = '';
let count = 0;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true });
  credentials = await kubeconfig({ path: cluster.kubeconfigPath });
  transport = new Transport({ credentials, userAgent: 'test' });
  user = new Client(transport);
  await install(user, 'Echo', 'echoes', AbortSignal.timeout(30_000));
  operator = echoOperator(credentials, log);
  await operator.manager.start();
});
afterAll(async () => {
  await operator?.stop();
  await transport?.close();
  await cluster?.stop();
});
beforeEach(() => {
  count += 1;
  name = `e${count}`;
});

const at = () => ({ namespace: 'default', name });
const live = <T extends KubeObject>(resource: Resource<T>) => user.get(resource, at());
const gone = async (resource: Resource) => {
  await expect
    .poll(() =>
      user.get(resource, at()).then(
        () => 'there',
        (error: { code: string }) => error.code,
      ),
    )
    .toBe('NotFound');
};
const set = (spec: Partial<Echo['spec']>) => user.apply(Echoes, echo(name, spec), { fieldManager: 'user' });
const current = () => operator.echoes.get(`default/${name}`);
/** Waits until the status speaks of the latest generation, and checks it by the rules of kstatus. */
async function settled(reason = 'Converged'): Promise<Echo> {
  const { metadata } = await user.get(Echoes, at());
  await expect
    .poll(() => [current()?.status?.observedGeneration, conditionOf(current()?.status?.conditions, 'Ready')?.reason], { timeout: 10_000 })
    .toEqual([metadata.generation, reason]);
  const object = await user.get(Echoes, at());
  expect(kstatusViolations(object)).toEqual([]);
  return object;
}
const ownWrites = () => operator.writes.filter((line) => new RegExp(`/${name}(/status)?$`).test(line));
/** Long enough for every event that is on its way, and for what it would cause. */
const quiet = () =>
  new Promise((resolve) => {
    setTimeout(resolve, 300);
  });

describe('children', () => {
  it('are created with one write each, plus one for the status', async () => {
    await set({ replicas: 1, guarded: true });
    await settled();
    await quiet();
    expect(ownWrites().toSorted()).toEqual([
      `PATCH 200 /apis/example.dev/v1/namespaces/default/echoes/${name}/status`,
      `PATCH 201 /api/v1/namespaces/default/configmaps/${name}`,
      `PATCH 201 /apis/apps/v1/namespaces/default/deployments/${name}`,
      `PATCH 201 /apis/networking.k8s.io/v1/namespaces/default/networkpolicies/${name}`,
      `PATCH 201 /apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/${name}`,
      `PATCH 201 /apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/${name}`,
    ]);
    const { metadata } = await live(Deployments);
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Echo', name, controller: true, blockOwnerDeletion: true }]);
  });

  it('cause no write while nothing changes, neither by a full pass nor after a restart', async () => {
    await set({ replicas: 1, guarded: true, env: { A: '1' } });
    await settled();
    await quiet();
    const before = operator.writes.length;
    const reconciles = operator.reconciled.length;
    await user.apply(Echoes, { ...echo(name), metadata: { ...at(), labels: { touched: 'yes' } } }, { fieldManager: 'labeller' });
    await expect.poll(() => operator.reconciled.length).toBeGreaterThan(reconciles);
    await quiet();
    expect(operator.writes.slice(before)).toEqual([]);

    const second = echoOperator(credentials, log);
    await second.manager.start();
    await expect.poll(() => second.reconciled.length).toBeGreaterThanOrEqual(second.echoes.size);
    await quiet();
    expect(second.writes).toEqual([]);
    await second.stop();
  });

  it('lose a field that is no longer wanted, and leave fields of others alone', async () => {
    await set({ replicas: 1, env: { A: '1', B: '2' } });
    await settled();
    await user.mergePatch(
      Deployments,
      at(),
      { metadata: { annotations: { note: 'mine' } }, spec: { revisionHistoryLimit: 3 } },
      { fieldManager: 'user' },
    );
    await set({ replicas: 1, env: { B: '2' } });
    await settled();
    const { metadata, spec } = await live(Deployments);
    expect(spec?.template.spec?.containers[0]?.env).toEqual([{ name: 'B', value: '2' }]);
    expect(metadata.annotations?.['note']).toBe('mine');
    expect(spec?.revisionHistoryLimit).toBe(3);
  });

  it('go when they are no longer wanted', async () => {
    await set({ guarded: true });
    await settled();
    await live(Roles);
    await set({ guarded: false });
    await settled();
    await Promise.all([gone(Roles), gone(RoleBindings), gone(NetworkPolicies)]);
    await live(ConfigMaps);
  });

  const drifts: Record<string, { drift: () => Promise<unknown>; back: () => Promise<unknown>; expected: unknown }> = {
    'a changed value': {
      drift: () => user.mergePatch(ConfigMaps, at(), { data: { text: 'changed' } }),
      back: async () => (await live(ConfigMaps)).data,
      expected: { text: 'hello' },
    },
    'a removed label': {
      drift: () => user.mergePatch(Deployments, at(), { metadata: { labels: { 'app.kubernetes.io/managed-by': null } } }),
      back: async () => (await live(Deployments)).metadata.labels,
      expected: { 'app.kubernetes.io/managed-by': FIELD_MANAGER },
    },
    'a changed image': {
      drift: () => user.jsonPatch(Deployments, at(), [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'evil' }]),
      back: async () => (await live(Deployments)).spec?.template.spec?.containers[0]?.image,
      expected: 'example.dev/echo:1',
    },
    'a removed owner reference': {
      drift: () => user.mergePatch(Deployments, at(), { metadata: { ownerReferences: null } }),
      back: async () => (await live(Deployments)).metadata.ownerReferences?.length,
      expected: 1,
    },
    'a deletion': {
      drift: () => user.delete(ConfigMaps, at()),
      back: () =>
        live(ConfigMaps).then(
          ({ data }) => data,
          () => undefined,
        ),
      expected: { text: 'hello' },
    },
    'a rule added to a Role': {
      drift: () =>
        user.jsonPatch(Roles, at(), [{ op: 'add', path: '/rules/-', value: { apiGroups: ['*'], resources: ['*'], verbs: ['*'] } }]),
      back: async () => (await live(Roles)).rules,
      expected: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    },
    'a verb added to a rule': {
      drift: () => user.jsonPatch(Roles, at(), [{ op: 'add', path: '/rules/0/verbs/-', value: '*' }]),
      back: async () => (await live(Roles)).rules,
      expected: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    },
    'resource names added to a rule': {
      drift: () => user.jsonPatch(Roles, at(), [{ op: 'add', path: '/rules/0/resourceNames', value: ['x'] }]),
      back: async () => (await live(Roles)).rules,
      expected: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    },
    'a subject added to a binding': {
      drift: () =>
        user.jsonPatch(RoleBindings, at(), [
          { op: 'add', path: '/subjects/-', value: { kind: 'User', name: 'eve', apiGroup: 'rbac.authorization.k8s.io' } },
        ]),
      back: async () => (await live(RoleBindings)).subjects?.map((subject) => subject.name),
      expected: [() => name],
    },
    'an ingress rule added to a NetworkPolicy': {
      drift: () => user.mergePatch(NetworkPolicies, at(), { spec: { ingress: [{}] } }, { fieldManager: 'eve' }),
      back: async () => (await live(NetworkPolicies)).spec?.ingress,
      expected: undefined,
    },
    'a label added to the selector of a NetworkPolicy': {
      drift: () =>
        user.mergePatch(NetworkPolicies, at(), { spec: { podSelector: { matchLabels: { other: 'x' } } } }, { fieldManager: 'eve' }),
      back: async () => Object.keys((await live(NetworkPolicies)).spec?.podSelector?.matchLabels ?? {}),
      expected: ['echo'],
    },
  };
  for (const [title, { drift, back, expected }] of Object.entries(drifts)) {
    it(`come back after ${title}`, async () => {
      await set({ replicas: 1, guarded: true });
      await settled();
      await drift();
      const wanted = Array.isArray(expected) && typeof expected[0] === 'function' ? [name] : expected;
      await expect.poll(back, { timeout: 10_000 }).toEqual(wanted);
      await quiet();
      const writes = operator.writes.length;
      await quiet();
      expect(operator.writes.length, 'nobody fights').toBe(writes);
    });
  }

  it('take fields of others in the pod template, and name who manages them', async () => {
    await set({ replicas: 1 });
    await settled();
    await user.mergePatch(
      Deployments,
      at(),
      { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z' } } } } },
      { fieldManager: 'kubectl-rollout' },
    );
    await quiet();
    expect(conditionOf(current()?.status?.conditions, 'ForeignFields')).toMatchObject({ status: 'False' });
    await user.apply(
      Deployments,
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: at(), spec: { template: { spec: { priorityClassName: 'high' } } } },
      { fieldManager: 'platform-team' },
    );
    await expect.poll(() => conditionOf(current()?.status?.conditions, 'ForeignFields')?.message).toBe('platform-team');
    const { spec } = await live(Deployments);
    expect(spec?.template.spec?.priorityClassName).toBe('high');
    expect(spec?.template.metadata?.annotations).toHaveProperty(['kubectl.kubernetes.io/restartedAt']);
    await set({ replicas: 1, env: { NEW: '1' } });
    await settled();
    expect((await live(Deployments)).spec?.template.spec?.priorityClassName).toBe('high');
  });

  it('are never made of what belongs to somebody else, whether or not a cache shows it', async () => {
    const foreign: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: at(), data: { text: 'theirs' } };
    const { metadata } = await user.create(ConfigMaps, foreign);
    await set({ replicas: 1 });
    const object = await settled('NameConflict');
    expect(conditionOf(object.status?.conditions, 'Ready')?.message).toBe(`ConfigMap default/${name} exists and belongs to somebody else`);
    const untouched = await live(ConfigMaps);
    expect([untouched.metadata.resourceVersion, untouched.data]).toEqual([metadata.resourceVersion, { text: 'theirs' }]);

    // Also one that carries our label, and so is in the cache.
    await user.mergePatch(ConfigMaps, at(), { metadata: { labels: { 'app.kubernetes.io/managed-by': FIELD_MANAGER } } });
    await set({ replicas: 2 });
    await settled('NameConflict');
    expect((await live(ConfigMaps)).data).toEqual({ text: 'theirs' });
    await gone(Deployments);

    await user.delete(ConfigMaps, at());
    await set({ replicas: 3 });
    await settled();
    expect((await live(ConfigMaps)).data).toEqual({ text: 'hello' });
  });

  it('are not deleted when they are of an owner of the same name that is no more', async () => {
    await set({ replicas: 1 });
    await settled();
    const { metadata } = await live(ConfigMaps);
    await user.delete(Echoes, at());
    await set({ replicas: 1, text: 'second' });
    const object = await settled('NameConflict');
    expect(conditionOf(object.status?.conditions, 'Ready')?.message).toContain(`belongs to Echo ${name}`);
    expect((await live(ConfigMaps)).metadata.uid).toBe(metadata.uid);
    // What the garbage collector does, which does not run here.
    await Promise.all([user.delete(ConfigMaps, at()), user.delete(Deployments, at())]);
    await expect
      .poll(() =>
        live(ConfigMaps).then(
          ({ data }) => data?.['text'],
          () => '',
        ),
      )
      .toBe('second');
  });

  it('are made anew when a field cannot be changed', async () => {
    await set({ guarded: true });
    await settled();
    const { metadata, roleRef } = await live(RoleBindings);
    const { ownerReferences, labels, annotations } = metadata;
    await operator.manager.client.delete(RoleBindings, at());
    await user
      .create(RoleBindings, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: {
          ...at(),
          ...(ownerReferences !== undefined && { ownerReferences }),
          ...(labels !== undefined && { labels }),
          ...(annotations !== undefined && { annotations }),
        },
        roleRef: { ...roleRef, name: 'another' },
      })
      .catch(() => {}); // the operator may have been faster
    await expect.poll(async () => (await live(RoleBindings)).roleRef.name, { timeout: 10_000 }).toBe(name);
    await set({ guarded: true, text: 'again' });
    await settled();
  });

  it('wait for one that is being deleted, and then make a new one', async () => {
    await set({ replicas: 1 });
    await settled();
    await user.mergePatch(ConfigMaps, at(), { metadata: { finalizers: ['example.dev/slow'] } });
    const { metadata } = await live(ConfigMaps);
    await user.delete(ConfigMaps, at());
    await set({ replicas: 1, text: 'changed meanwhile' });
    await quiet();
    expect((await live(ConfigMaps)).data).toEqual({ text: 'hello' });
    await user.mergePatch(ConfigMaps, at(), { metadata: { finalizers: null } });
    await expect
      .poll(
        () =>
          live(ConfigMaps).then(
            ({ data }) => data?.['text'],
            () => '',
          ),
        { timeout: 10_000 },
      )
      .toBe('changed meanwhile');
    expect((await live(ConfigMaps)).metadata.uid).not.toBe(metadata.uid);
  });

  describe('and replicas', () => {
    const scale = (replicas: number) =>
      user.mergePatch(Deployments, at(), { spec: { replicas } }, { fieldManager: 'autoscaler', subresource: 'scale' });

    it('are handed over to an autoscaler without a change in between', async () => {
      const seen: (number | undefined)[] = [];
      const end = operator.deployments.subscribe(({ key, new: next }) => {
        if (key === `default/${name}` && next !== undefined) seen.push(next.spec?.replicas);
      });
      await set({ replicas: 5 });
      await settled();
      await set({});
      await settled();
      expect((await live(Deployments)).spec?.replicas).toBe(5);
      await scale(7);
      await set({ env: { A: '1' } });
      await settled();
      await quiet();
      expect((await live(Deployments)).spec?.replicas).toBe(7);
      expect([...new Set(seen)]).toEqual([5, 7]);
      const managers = (await live(Deployments)).metadata.managedFields?.map(({ manager }) => manager);
      expect(managers).not.toContain(`${FIELD_MANAGER}-replicas`);
      end();
    });

    it('come back to us from an autoscaler', async () => {
      await set({});
      await settled();
      await scale(4);
      await set({ replicas: 2 });
      await settled();
      expect((await live(Deployments)).spec?.replicas).toBe(2);
    });

    it('start at the minimum when an autoscaler takes over something stopped', async () => {
      await set({ replicas: 0 });
      await settled();
      await set({});
      await settled();
      expect((await live(Deployments)).spec?.replicas).toBe(1);
    });
  });
});

describe('with caches that are behind', () => {
  const open = (observe: (line: string) => void) => {
    const watched = new Transport({
      credentials,
      userAgent: 'test',
      observer: { finished: ({ method, code }) => observe(`${method} ${code}`) },
    });
    // No reflector feeds this store: the watch lags for ever.
    const store = new ObjectStore<ConfigMap>('lagging', { indexes: { [OWNER_INDEX]: ownerIndex('example.dev/other') } });
    const kinds = [{ resource: ConfigMaps, store }];
    const children = new Children({ client: new Client(watched), fieldManager: 'lagging', annotation: 'example.dev/other', kinds });
    return { watched, store, children };
  };
  const wish = (text: string): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...at(), name: `${name}-x` },
    data: { text },
  });

  it('an object that was replaced by another of its name is not touched', async () => {
    const owner = ownerFrom(await set({ replicas: 1 }));
    const { watched, children } = open(() => {});
    const signal = AbortSignal.timeout(10_000);
    await children.converge(owner, [[wish('1')]], signal);
    await user.delete(ConfigMaps, wish('').metadata);
    const foreign = await user.create(ConfigMaps, wish('theirs'));
    await expect(children.converge(owner, [[wish('2')]], signal)).rejects.toMatchObject({ code: 'Conflict' });
    expect((await user.get(ConfigMaps, foreign.metadata)).data).toEqual({ text: 'theirs' });
    await expect(children.converge(owner, [[wish('2')]], signal)).rejects.toBeInstanceOf(NameConflict);
    await watched.close();
  });

  it('an object that has gone is made again', async () => {
    const owner = ownerFrom(await set({ replicas: 1 }));
    const seen: string[] = [];
    const { watched, children } = open((line) => seen.push(line));
    const signal = AbortSignal.timeout(10_000);
    await children.converge(owner, [[wish('1')]], signal);
    await user.delete(ConfigMaps, wish('').metadata);
    await children.converge(owner, [[wish('2')]], signal);
    expect(seen).toEqual(['PATCH 201', 'PATCH 409', 'PATCH 201']);
    await watched.close();
  });

  it('a status is not written to a successor of the object', async () => {
    const first = await set({ replicas: 1 });
    await settled();
    await user.delete(Echoes, at());
    await set({ replicas: 1, text: 'second' });
    const writer = new StatusWriter({ client: user, resource: Echoes, store: new ObjectStore<Echo>('echoes'), fieldManager: 'x' });
    const write = () => writer.write(first, { observedGeneration: 99, conditions: [] }, AbortSignal.timeout(5000));
    await expect(write()).rejects.toMatchObject({ code: 'Conflict' });
    expect((await live(Echoes)).status?.observedGeneration).not.toBe(99);
    await user.delete(Echoes, at());
    expect(await write()).toBe(false);
  });
});

describe('finalizers', () => {
  /** The running operator writes a status in between once in a while; then a reconcile is repeated. */
  async function retried<T>(change: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await change();
      } catch (error) {
        if (!isKubeError(error, 'Invalid')) throw error;
      }
    }
  }

  it('are added and removed without losing those of others', async () => {
    const signal = AbortSignal.timeout(10_000);
    const store = new ObjectStore<Echo>('echoes');
    const context = { client: user, resource: Echoes, store, signal };
    const object = await set({ replicas: 1 });
    const stale = await live(Echoes);
    await user.mergePatch(Echoes, at(), { metadata: { finalizers: ['other/one'] } });
    // Decided on an object from before: refused, not lost.
    await expect(addFinalizer(stale, 'ours/cleanup', context)).rejects.toBeInstanceOf(KubeError);
    expect(await retried(async () => addFinalizer(await live(Echoes), 'ours/cleanup', context))).toBe(true);
    expect((await live(Echoes)).metadata.finalizers).toEqual(['other/one', 'ours/cleanup']);
    expect(await addFinalizer(await live(Echoes), 'ours/cleanup', context)).toBe(false);
    await user.delete(Echoes, at());
    await retried(async () => removeFinalizer(await live(Echoes), 'ours/cleanup', context));
    expect((await live(Echoes)).metadata.finalizers).toEqual(['other/one']);
    const last = await retried(async () => {
      const read = await live(Echoes);
      await removeFinalizer(read, 'other/one', context);
      return read;
    });
    expect(store.has(`default/${name}`)).toBe(false);
    await removeFinalizer(last, 'other/one', context);
    await gone(Echoes);
    expect(object.metadata.name).toBe(name);
  });
});

it('a watch that lags causes no second write and no wrong deletion', async () => {
  const owner = ownerFrom(await set({ replicas: 1 }));
  await settled();
  const writes: string[] = [];
  const watched = new Transport({
    credentials,
    userAgent: 'test',
    observer: { finished: ({ method, code }) => writes.push(`${method} ${code}`) },
  });
  // No reflector feeds this store: the watch lags for ever.
  const store = new ObjectStore<ConfigMap>('lagging', { indexes: { [OWNER_INDEX]: ownerIndex('example.dev/other') } });
  const kinds = [{ resource: ConfigMaps, store }];
  const children = new Children({ client: new Client(watched), fieldManager: 'lagging', annotation: 'example.dev/other', kinds });
  const wish = (suffix: string, text: string): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...at(), name: `${name}-${suffix}` },
    data: { text },
  });
  const signal = AbortSignal.timeout(10_000);
  await children.converge(owner, [[wish('a', '1'), wish('b', '1')]], signal);
  await children.converge(owner, [[wish('a', '1'), wish('b', '1')]], signal);
  await children.converge(owner, [[wish('a', '2')]], signal);
  await children.converge(owner, [[wish('a', '2')]], signal);
  expect(writes).toEqual(['PATCH 201', 'PATCH 201', 'PATCH 200', 'DELETE 200']);

  // A process that knows nothing, as after a restart with an empty cache: it finds its own and changes nothing.
  const empty = new ObjectStore<ConfigMap>('empty', { indexes: { [OWNER_INDEX]: ownerIndex('example.dev/other') } });
  const restarted = new Children({
    client: new Client(watched),
    fieldManager: 'lagging',
    annotation: 'example.dev/other',
    kinds: [{ resource: ConfigMaps, store: empty }],
  });
  writes.length = 0;
  await restarted.converge(owner, [[wish('a', '2')]], signal);
  expect(writes).toEqual(['PATCH 409', 'GET 200']);
  await watched.close();
});

it('a wish that the server stores in another form is sent once, and drift is still found', async () => {
  const owner = ownerFrom(await set({ replicas: 1 }));
  await settled();
  const writes: string[] = [];
  const watched = new Transport({
    credentials,
    userAgent: 'test',
    observer: { finished: ({ method, code }) => writes.push(`${method} ${code}`) },
  });
  const store = new ObjectStore<Deployment>('deployments', { indexes: { [OWNER_INDEX]: ownerIndex('example.dev/other') } });
  const children = new Children({
    client: new Client(watched),
    fieldManager: 'x',
    annotation: 'example.dev/other',
    kinds: [{ resource: Deployments, store }],
  });
  const base = deployment(echo(`${name}-x`, { replicas: 1 }));
  const [container] = base.spec?.template.spec?.containers ?? [];
  // Without the label by which the operator of this file knows its own.
  const wish = {
    ...base,
    metadata: { namespace: 'default', name: `${name}-x` },
    spec: {
      ...base.spec,
      template: { ...base.spec?.template, spec: { containers: [{ ...container, resources: { requests: { cpu: '1000m' } } }] } },
    },
  } as Deployment;
  const signal = AbortSignal.timeout(10_000);
  const at = { namespace: 'default', name: `${name}-x` };
  await children.converge(owner, [[wish]], signal);
  expect((await user.get(Deployments, at)).spec?.template.spec?.containers[0]?.resources?.requests?.['cpu']).toBe('1');
  // Somebody else's change of something else brings a new version of the object.
  store.set(await user.mergePatch(Deployments, at, { metadata: { annotations: { 'deployment.kubernetes.io/revision': '1' } } }));
  store.set(await user.mergePatch(Deployments, at, { status: { observedGeneration: 1, replicas: 1 } }, { subresource: 'status' }));
  writes.length = 0;
  await children.converge(owner, [[wish]], signal);
  expect(writes).toEqual([]);
  store.set(await user.mergePatch(Deployments, at, { spec: { replicas: 9 } }));
  await children.converge(owner, [[wish]], signal);
  expect((await user.get(Deployments, at)).spec?.replicas).toBe(1);
  await watched.close();
});
