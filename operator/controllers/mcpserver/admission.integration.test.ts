import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until, World } from '../../../e2e/operator-world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start({ name: 'access' });
  for (const namespace of ['one', 'two', 'three']) await world.namespace(namespace);
  const role = (kind: string, name: string, namespace: string | undefined, user: string, roleName: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }) },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName },
    subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
  });
  const objects = [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'server-author' },
      rules: [{ apiGroups: ['mcp-fleet.dev'], resources: ['mcpservers'], verbs: ['*'] }],
    },
    ...['author', 'binder', 'wide-binder'].map((user) => role('ClusterRoleBinding', `${user}-writes`, undefined, user, 'server-author')),
    role('RoleBinding', 'binder', 'one', 'binder', 'mcp-fleet-access-granter'),
    role('RoleBinding', 'binder', 'two', 'binder', 'mcp-fleet-access-granter'),
    role('ClusterRoleBinding', 'wide-binder', undefined, 'wide-binder', 'mcp-fleet-access-granter'),
  ];
  await world.apply(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  // The API server takes a moment to enforce a new policy.
  await until(async () => expect(await asked('author', {})).toMatch(/needs verb bind/));
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** What the API server says to a server with these rights in namespace `one`; empty when it accepts it. Nothing is stored. */
async function asked(user: string, kubernetesAccess: object | undefined, extra: object = {}): Promise<string> {
  const manifest = {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPServer',
    metadata: { name: 'probe', namespace: 'one' },
    spec: { container: { image: 'example.com/echo:1' }, ...(kubernetesAccess !== undefined && { kubernetesAccess }), ...extra },
  };
  try {
    await world.kubectl(['create', '--dry-run=server', `--as=${user}`, '-f', '-'], JSON.stringify(manifest));
    return '';
  } catch (error) {
    return String(error);
  }
}

const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];

describe('kubernetesAccess', () => {
  const cases: Record<string, [user: string, access: object | undefined, refusal: RegExp | undefined]> = {
    'is not asked for by everybody': ['author', undefined, undefined],
    'needs bind in the namespace': ['author', { rules }, /author needs verb bind on ClusterRole mcp-fleet-grantable in namespace one/],
    'is had with bind in the namespace': ['binder', { rules }, undefined],
    'is had in each namespace with bind there': ['binder', { rules, namespaces: ['two'] }, undefined],
    'is not had in a namespace without bind there': ['binder', { rules, namespaces: ['two', 'three'] }, /in namespace three/],
    'is not had cluster-wide with bind in namespaces': [
      'binder',
      { rules, clusterWide: true },
      /clusterWide: binder needs .* cluster-wide/,
    ],
    'is had everywhere with bind everywhere': ['wide-binder', { rules, clusterWide: true, namespaces: ['two', 'three'] }, undefined],
    'is had in sixteen namespaces, within the budget of the API server': [
      'wide-binder',
      { rules, clusterWide: true, namespaces: Array.from({ length: 16 }, (_, index) => `ns-${index}`) },
      undefined,
    ],
  };
  it.each(Object.entries(cases))('%s', async (_sentence, [user, access, refusal]) => {
    const answer = await asked(user, access);
    if (refusal === undefined) expect(answer).toBe('');
    else expect(answer).toMatch(refusal);
  });

  it('may stay as it is when somebody without bind changes something else', async () => {
    await world.server('one', 'stored', { kubernetesAccess: { rules } });
    const patch = (spec: object) =>
      world.kubectl(['patch', 'mcpserver', 'stored', '-n', 'one', '--as=author', '--type=merge', '-p', JSON.stringify({ spec })]);
    await patch({ replicas: 2 });
    await expect(patch({ kubernetesAccess: { clusterRoles: ['view'] } })).rejects.toThrow(/needs verb bind/);
    await expect(patch({ serviceAccount: { name: 'mine' } })).rejects.toThrow(/needs verb bind/);
    await patch({ kubernetesAccess: null });
  });
});
