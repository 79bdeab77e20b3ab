import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Annotation, guardNames } from '../../api/group.ts';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import type { KubeObject, ObjectName, Resource } from '../../operator/kube/object.ts';
import {
  apiVersionOf,
  ClusterRoleBindings,
  ClusterRoles,
  ConfigMaps,
  Deployments,
  Events,
  HorizontalPodAutoscalers,
  Ingresses,
  NetworkPolicies,
  PodDisruptionBudgets,
  RoleBindings,
  Roles,
  ServiceAccounts,
  Services,
} from '../../operator/kube/resources.ts';
import { faulty, Fleet, UNGUARDED } from '../fleet.ts';
import { gone, type Kubectl, kubectlFor } from '../kubectl.ts';

let fleet: Fleet;
let kubectl: Kubectl;
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }];
const VIEW = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
/** Asks for every kind that lives in a namespace. */
const everything: Partial<MCPServerSpecInput> = {
  autoscaling: { minReplicas: 2, maxReplicas: 3, memoryUtilization: 1000 },
  kubernetesAccess: { rules, clusterRoles: ['view'] },
  expose: { ingress: { host: 'drift.example.com' } },
};

/** One owned object and what somebody does to it. */
interface Child {
  readonly resource: Resource;
  readonly name: ObjectName;
  /** JSON merge patch. */
  readonly edit: object;
}

/** What the operator decides about an object: everything but what others write into it. */
const decided = ({ metadata, ...rest }: KubeObject): object => {
  const { status: _, spec, ...content } = rest as { status?: unknown; spec?: Readonly<Record<string, unknown>> };
  const { name, labels, ownerReferences } = metadata;
  // A new Service gets new addresses.
  const { clusterIP: __, clusterIPs: ___, ...own } = spec ?? {};
  return { ...content, spec: own, metadata: { name, labels, ownerReferences } };
};

/** Edits it, deletes it, and sees it come back both times. */
async function harm({ resource, name, edit }: Child): Promise<void> {
  const what = `${resource.kind} ${name.name}`;
  const before = await fleet.client.get(resource, name);
  const restored = (): Promise<KubeObject | undefined> =>
    fleet.eventually(
      () => fleet.find(resource, name),
      (now) => now !== undefined && now.metadata.deletionTimestamp === undefined && isEqual(decided(now), decided(before)),
      60,
      (now) => `${what} is not as it was: ${JSON.stringify(now === undefined ? undefined : decided(now))}`,
    );
  const edited = await fleet.client.mergePatch(resource, name, edit, { fieldManager: 'mallory' });
  expect(decided(edited), `the edit of ${what} changes nothing`).not.toEqual(decided(before));
  await restored();

  await fleet.client.delete(resource, name);
  const back = await restored();
  expect(back?.metadata.uid, what).not.toBe(before.metadata.uid);
}

function isEqual(left: object, right: object): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

test('every owned object that is edited or deleted comes back', async () => {
  const namespace = await fleet.namespace();
  const other = await fleet.namespace();
  const own = { namespace, name: 'owned' };
  const elsewhere = { namespace: other, name: `mcp-fleet:${namespace}:owned` };
  const { kubernetesAccess } = everything;
  await fleet.apply(namespace, 'owned', faulty([], { ...everything, kubernetesAccess: { ...kubernetesAccess, namespaces: [other] } }));
  await fleet.ready(namespace, 'owned');
  const widened = { rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] };
  const mallory = { subjects: [{ kind: 'User', name: 'mallory', apiGroup: 'rbac.authorization.k8s.io' }] };
  const children: Child[] = [
    { resource: ServiceAccounts, name: own, edit: { automountServiceAccountToken: true } },
    { resource: Roles, name: own, edit: widened },
    { resource: RoleBindings, name: own, edit: mallory },
    { resource: RoleBindings, name: { namespace, name: 'owned:view' }, edit: mallory },
    { resource: Roles, name: elsewhere, edit: widened },
    { resource: RoleBindings, name: elsewhere, edit: mallory },
    { resource: Services, name: own, edit: { spec: { selector: { 'mcp-fleet.dev/server': 'mallory' } } } },
    { resource: HorizontalPodAutoscalers, name: own, edit: { spec: { maxReplicas: 40 } } },
    { resource: PodDisruptionBudgets, name: own, edit: { spec: { maxUnavailable: 2 } } },
    { resource: NetworkPolicies, name: own, edit: { spec: { ingress: [{}] } } },
    { resource: Ingresses, name: own, edit: { spec: { rules: [{ host: 'mallory.example.com' }] } } },
    { resource: ConfigMaps, name: { namespace, name: 'owned-tools' }, edit: { data: { 'tools.json': '[]' } } },
    { resource: ConfigMaps, name: { namespace, name: 'owned-policy' }, edit: { data: { 'bundle.json': '{}' } } },
  ];
  for (const child of children) await harm(child);
  // Last: its pods go with it.
  const root = { spec: { template: { spec: { securityContext: { runAsUser: 0, runAsNonRoot: false } } } } };
  await fleet.client.mergePatch(Deployments, own, root, { fieldManager: 'mallory' });
  await fleet.eventually(
    () => fleet.client.get(Deployments, own),
    ({ spec }) => spec?.template.spec?.securityContext?.runAsUser === 65532 && spec.template.spec.securityContext.runAsNonRoot === true,
  );
  await fleet.client.delete(Deployments, own);
  await fleet.until(namespace, 'owned', 'Available', { status: 'True' });
  await fleet.ready(namespace, 'owned');
  expect(await fleet.call(namespace, 'owned', 'echo', { message: 'still here' })).toBe('still here');
}, 240_000);

test('cluster-wide rights that are edited or deleted come back, and go with their server', async () => {
  const namespace = await fleet.namespace();
  const name = { name: `mcp-fleet:${namespace}:wide` };
  await fleet.apply(namespace, 'wide', faulty([], { suspend: true, kubernetesAccess: { rules, clusterWide: true } }));
  await fleet.until(namespace, 'wide', 'Ready', { status: 'True', reason: 'Suspended' });
  await harm({ resource: ClusterRoles, name, edit: { rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] } });
  await harm({
    resource: ClusterRoleBindings,
    name,
    edit: { subjects: [{ kind: 'User', name: 'mallory', apiGroup: 'rbac.authorization.k8s.io' }] },
  });
  await kubectl(['delete', 'mcpserver', 'wide', '-n', namespace, '--timeout=60s']);
  expect(await fleet.find(ClusterRoles, name)).toBeUndefined();
  expect(await fleet.find(ClusterRoleBindings, name)).toBeUndefined();
});

test('what is no longer asked for goes', async () => {
  const namespace = await fleet.namespace();
  const own = { namespace, name: 'plain' };
  await fleet.apply(namespace, 'plain', faulty([], { ...everything, suspend: true }));
  await fleet.until(namespace, 'plain', 'Ready', { status: 'True', reason: 'Suspended' });
  await fleet.apply(namespace, 'plain', faulty([], { suspend: true, serviceAccount: { name: 'default' }, network: { managed: false } }));
  for (const resource of [
    HorizontalPodAutoscalers,
    Roles,
    RoleBindings,
    Ingresses,
    ServiceAccounts,
    NetworkPolicies,
  ] as readonly Resource[]) {
    await fleet.eventually(
      () => fleet.find(resource, own),
      (found) => found === undefined,
      30,
      () => `${resource.kind} is still there`,
    );
  }
  expect(await fleet.find(Services, own)).toBeDefined();
});

/** Objects that somebody else made, under the names that a server wants, and what the server asks for. */
const conflicts: readonly [resource: Resource, body: object, spec: Partial<MCPServerSpecInput>][] = [
  [
    Deployments,
    {
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'x', image: 'x:1' }] } },
      },
    },
    {},
  ],
  [Services, { spec: { ports: [{ port: 80 }] } }, {}],
  [ServiceAccounts, {}, {}],
  [NetworkPolicies, { spec: { podSelector: {} } }, {}],
  [Roles, { rules: [] }, { kubernetesAccess: { rules } }],
  [RoleBindings, { roleRef: VIEW }, { kubernetesAccess: { rules } }],
  [ClusterRoles, { rules: [] }, { kubernetesAccess: { rules, clusterWide: true } }],
  [ClusterRoleBindings, { roleRef: VIEW }, { kubernetesAccess: { rules, clusterWide: true } }],
  [
    PodDisruptionBudgets,
    { spec: { maxUnavailable: 1 } },
    { replicas: 2, suspend: false, scheduling: { nodeSelector: { nowhere: 'true' } } },
  ],
  [
    HorizontalPodAutoscalers,
    { spec: { maxReplicas: 2, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x' } } },
    { autoscaling: { maxReplicas: 2, cpuUtilization: 80 } },
  ],
  [Ingresses, { spec: { rules: [{ host: 'x.example.com' }] } }, { expose: { ingress: { host: 'y.example.com' } } }],
];

test('an object of that name that is not ours stays untouched and is reported, whatever its kind; gone, it makes room', async () => {
  const namespace = await fleet.namespace();
  const cases = conflicts.map(([resource, body, spec]) => {
    const server = resource.kind.toLowerCase();
    const name: ObjectName = resource.namespaced ? { namespace, name: server } : { name: `mcp-fleet:${namespace}:${server}` };
    return { resource, body, spec, server, name };
  });
  for (const { resource, body, spec, server, name } of cases) {
    await fleet.client.create(resource, { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: name, ...body });
    await fleet.apply(namespace, server, faulty([], { suspend: true, ...spec }));
  }
  for (const { resource, server, name } of cases) {
    const message = new RegExp(`^${resource.kind} .*${server} exists and belongs to somebody else`);
    await fleet.until(namespace, server, 'Ready', { status: 'False', reason: 'NameConflict', message });
    const { metadata } = await fleet.client.get(resource, name);
    expect([metadata.ownerReferences, metadata.labels, metadata.annotations?.[Annotation.AppliedDigest]], server).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  }
  for (const { resource, name } of cases) await fleet.client.delete(resource, name);
  for (const { resource, server, name } of cases) {
    await fleet.eventually(
      () => fleet.find(resource, name),
      (found) => found?.metadata.labels?.['mcp-fleet.dev/server'] === server,
      120,
    );
    await fleet.until(namespace, server, 'Accepted', { status: 'True' });
  }
  // Their ClusterRoles go only with them.
  await kubectl(['delete', 'mcpserver', 'clusterrole', 'clusterrolebinding', '-n', namespace, '--timeout=60s']);
}, 240_000);

test('a server without a guard that turns to what needs one is refused in words, and serves as before', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'turned', faulty([], UNGUARDED));
  await fleet.ready(namespace, 'turned');
  await expect(
    fleet.apply(namespace, 'turned', faulty([], { ...UNGUARDED, authentication: { type: 'Guard', anonymous: true } })),
  ).rejects.toThrow(/spec\.guard\.enabled: .*authentication\.type other than None needs the guard: remove guard\.enabled: false/);
  await fleet.ready(namespace, 'turned');
  expect(await fleet.call(namespace, 'turned', 'echo', { message: 'as before' })).toBe('as before');
});

test('a guard that is switched off takes what it enforced with it, and the server goes on', async () => {
  const namespace = await fleet.namespace();
  const policy = { namespace, name: guardNames('switched').policy };
  await fleet.apply(namespace, 'switched', faulty());
  await fleet.ready(namespace, 'switched');
  expect(await fleet.find(ConfigMaps, policy)).toBeDefined();
  await fleet.apply(namespace, 'switched', faulty([], UNGUARDED));
  await fleet.eventually(
    () => fleet.find(ConfigMaps, policy),
    (found) => found === undefined,
    60,
  );
  await fleet.ready(namespace, 'switched', 120);
  expect(await fleet.call(namespace, 'switched', 'echo', { message: 'bare' })).toBe('bare');
});

test('kubectl rollout restart works, and what others put into pods stays and is told', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'meshed', faulty());
  await fleet.ready(namespace, 'meshed');
  const [first] = await fleet.pods(namespace, 'meshed');
  await kubectl(['rollout', 'restart', 'deployment/meshed', '-n', namespace]);
  await gone(kubectl, namespace, first === undefined ? [] : [first]);
  await fleet.ready(namespace, 'meshed');

  const mesh = { spec: { template: { metadata: { annotations: { 'mesh.example.com/inject': 'true' } } } } };
  await fleet.client.mergePatch(Deployments, { namespace, name: 'meshed' }, mesh, { fieldManager: 'mesh' });
  await fleet.eventually(
    () => fleet.events(namespace, 'meshed'),
    (events) => events.includes('Warning ForeignFields'),
  );
  await kubectl(['rollout', 'status', 'deployment/meshed', '-n', namespace, '--timeout=90s']);
  await fleet.ready(namespace, 'meshed');
  const [pod] = await fleet.pods(namespace, 'meshed');
  expect(pod?.metadata.annotations).toMatchObject({ 'mesh.example.com/inject': 'true' });
  expect(pod?.metadata.annotations).toHaveProperty(['kubectl.kubernetes.io/restartedAt']);
  const { items } = await fleet.client.list(Events, { namespace });
  const told = items.filter(({ reason }) => reason === 'ForeignFields').map(({ note }) => note);
  expect(told.join('\n')).toMatch(/\bmesh\b/);
  expect(told.join('\n')).not.toMatch(/kubectl/);
});
