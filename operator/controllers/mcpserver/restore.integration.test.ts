import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningOperator, until, World } from '../../../e2e/operator-world.ts';
import type { KubeObject, Resource } from '../../kube/object.ts';
import {
  apiVersionOf,
  ClusterRoleBindings,
  ConfigMaps,
  Deployments,
  Events,
  NetworkPolicies,
  RoleBindings,
  Roles,
  ServiceAccounts,
  Services,
} from '../../kube/resources.ts';
import type { Deployment } from '../../kube/wire.ts';
import { kstatusViolations } from '../../runtime/kstatus.ts';
import { MCPServers } from './stores.ts';

let world: World;
let operator: RunningOperator;

beforeAll(async () => {
  world = await World.start({ name: 'restore' });
  operator = await world.operator();
});
afterAll(async () => {
  await operator?.stop();
  await world?.[Symbol.asyncDispose]();
});

const name = 'echo';
const spec = {
  guard: { enabled: true },
  env: [{ name: 'A', value: '1' }],
  kubernetesAccess: {
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    clusterRoles: ['view'],
    namespaces: ['elsewhere'],
  },
};
const KINDS: readonly Resource[] = [
  Deployments,
  Services,
  ServiceAccounts,
  NetworkPolicies,
  ConfigMaps,
  Roles,
  RoleBindings,
] as readonly Resource[];

/** As Velero keeps objects: of the metadata only names, labels and annotations, and no status. */
function kept({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject {
  const { status: _status, ...body } = rest as { status?: unknown };
  const { name: called, namespace, labels, annotations } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name: called, ...(namespace && { namespace }), ...(labels && { labels }), ...(annotations && { annotations }) },
    ...body,
  };
}

async function childrenIn(namespaces: readonly string[]): Promise<KubeObject[]> {
  const lists = namespaces.flatMap((namespace) =>
    KINDS.map(async (resource) => {
      const { items } = await world.client.list(resource, { namespace, labelSelector: `mcp-fleet.dev/server=${name}` });
      // Items of a list do not say what they are.
      return items.map((item) => ({
        ...item,
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
      }));
    }),
  );
  return (await Promise.all(lists)).flat();
}

const create = (object: KubeObject): Promise<string> =>
  world.kubectl(['create', '--field-manager=velero-server', '-f', '-'], JSON.stringify(object));

describe('a namespace that is restored from a backup', () => {
  const namespace = 'backup';
  const foreign = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'notes', namespace }, data: { mine: '1' } };
  let before: KubeObject[];

  beforeAll(async () => {
    for (const created of [namespace, 'elsewhere']) await world.namespace(created);
    await world.server(namespace, name, spec);
    await world.ready(namespace, name);
    before = await childrenIn([namespace, 'elsewhere']);
    expect(new Set(before.map(({ kind }) => kind)).size).toBe(KINDS.length);
    await world.kubectl(['delete', 'mcpserver', name, '-n', namespace, '--cascade=foreground', '--wait']);
    await until(async () =>
      expect((await childrenIn([namespace, 'elsewhere'])).filter((child) => !child.metadata.name.endsWith('-pins'))).toEqual([]),
    );
    const pins = `${name}-pins`;
    for (const child of [...before.filter((object) => object.metadata.name !== pins).map(kept), foreign]) await create(child);
    await world.server(namespace, name, spec);
  });

  it('has a working server again, with the objects of the backup', async () => {
    const restored = await world.get(Deployments, { namespace, name });
    const server = await world.ready(namespace, name);
    const after = await childrenIn([namespace, 'elsewhere']);
    const owners = after
      .filter(({ metadata }) => metadata.namespace === namespace && metadata.name !== `${name}-pins`)
      .map(({ metadata }) => metadata.ownerReferences?.[0]?.uid);
    expect(new Set(owners)).toEqual(new Set([server.metadata.uid]));
    expect((await world.get(Deployments, { namespace, name })).metadata.uid).toBe(restored.metadata.uid);
    expect(after.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted()).toEqual(
      before.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted(),
    );
    expect(kstatusViolations(server)).toEqual([]);
  });

  it('says so in an event', async () => {
    await until(async () => {
      const { items } = await world.client.list(Events, { namespace });
      expect(items.filter(({ reason }) => reason === 'Adopted').map(({ note }) => note)).toContain(
        `Deployment ${namespace}/${name} had lost its owner and is taken over`,
      );
    });
  });

  it('leaves no field to the tool that restored it: what the spec no longer asks for goes', async () => {
    await world.server(namespace, name, { ...spec, env: [{ name: 'B', value: '2' }] });
    await until(async () => {
      const deployment: Deployment = await world.get(Deployments, { namespace, name });
      const container = deployment.spec?.template.spec?.containers.find((one) => one.name === 'server');
      expect(container?.env?.map((entry) => entry.name)).toEqual(expect.arrayContaining(['B']));
      expect(container?.env?.map((entry) => entry.name)).not.toContain('A');
    });
    expect((await world.get(ConfigMaps, { namespace, name: 'notes' })).data).toEqual({ mine: '1' });
  });
});

describe('an object that only looks like a child', () => {
  it('is no child where somebody else owns it, or never had our labels', async () => {
    const namespace = await world.namespace('taken');
    await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'mine', namespace } });
    await world.server(namespace, 'mine');
    await until(async () =>
      expect(await world.condition(namespace, 'mine', 'Accepted')).toMatchObject({ status: 'False', reason: 'NameConflict' }),
    );
    expect((await world.get(ServiceAccounts, { namespace, name: 'mine' })).metadata.labels).toBeUndefined();
  });

  it('is not deleted: a copy under another name, in another namespace, or cluster-wide', async () => {
    const namespace = await world.namespace('copied');
    await world.namespace('mirror');
    await world.server(namespace, name, { guard: { enabled: true } });
    await world.ready(namespace, name);
    const original = kept(await world.get(ConfigMaps, { namespace, name: `${name}-policy` }));
    const copy = (metadata: Partial<KubeObject['metadata']>): KubeObject => ({
      ...original,
      metadata: { ...original.metadata, ...metadata },
    });
    const copies = [copy({ namespace: 'mirror' }), copy({ name: `${name}-policy-mirror` })];
    for (const object of copies) await create(object);
    const binding = {
      ...copy({ name: 'mirror' }),
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      data: undefined,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [],
    };
    await create({
      ...binding,
      metadata: { name: 'mirror', labels: original.metadata.labels ?? {}, annotations: original.metadata.annotations ?? {} },
    });
    // A reconciliation that prunes: the guard goes, and its ConfigMap with it.
    await world.server(namespace, name, { guard: { enabled: false } });
    await until(async () => expect(await world.find(ConfigMaps, { namespace, name: `${name}-policy` })).toBeUndefined());
    await world.ready(namespace, name);
    for (const { metadata } of copies) expect(await world.find(ConfigMaps, metadata)).toBeDefined();
    expect(await world.find(ClusterRoleBindings, { name: 'mirror' })).toBeDefined();
    expect((await world.get(MCPServers, { namespace, name })).status?.observedGeneration).toBe(2);
  });
});
