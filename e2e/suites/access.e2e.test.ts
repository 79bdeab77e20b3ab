import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { ClusterRoleBindings, ClusterRoles, RoleBindings, Roles, ServiceAccounts } from '../../operator/kube/resources.ts';
import { faulty, Fleet } from '../fleet.ts';
import { KUBERNETES_MCP_SERVER_PUBLISHED } from '../images/servers.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';

const CREDENTIALS = '/var/run/secrets/kubernetes.io/serviceaccount';

let fleet: Fleet;
let kubectl: Kubectl;

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});

afterAll(() => fleet[Symbol.asyncDispose]());

/** The real server, with these rights. */
const kubernetesServer = (kubernetesAccess: MCPServerSpecInput['kubernetesAccess']): MCPServerSpecInput => ({
  container: {
    image: KUBERNETES_MCP_SERVER_PUBLISHED,
    command: ['/app/kubernetes-mcp-server'],
    args: ['--port', '8080', '--read-only', '--disable-multi-cluster'],
  },
  ...(kubernetesAccess !== undefined && { kubernetesAccess }),
});

const readPods = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }];

interface TokenClaims {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly sub: string;
  readonly 'kubernetes.io': { readonly pod: { readonly name: string } };
}

const claimsOf = (token: string): TokenClaims =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as TokenClaims;

/** Who a token is for. */
async function reviewed(token: string): Promise<string> {
  const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } });
  const answer = JSON.parse(await kubectl(['create', '-o', 'json', '-f', '-'], review)) as { status: { user?: { username?: string } } };
  return answer.status.user?.username ?? '';
}

test.concurrent('without kubernetesAccess nothing in the pod is a credential of the cluster', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'plain', faulty());
  await fleet.ready(namespace, 'plain');

  const [pod] = await fleet.pods(namespace, 'plain');
  expect(pod?.spec?.automountServiceAccountToken).toBe(false);
  expect(JSON.stringify(pod?.spec?.volumes)).not.toContain('serviceAccountToken');
  const { automountServiceAccountToken } = await fleet.client.get(ServiceAccounts, { namespace, name: 'plain' });
  expect(automountServiceAccountToken).toBe(false);
  await expect(fleet.call(namespace, 'plain', 'read_file', { path: `${CREDENTIALS}/token` })).rejects.toThrow(/ENOENT/);
  expect(await fleet.call(namespace, 'plain', 'read_file', { path: '/proc/self/mounts' })).not.toContain('serviceaccount');
  expect((await fleet.client.list(Roles, { namespace })).items).toEqual([]);
  expect((await fleet.client.list(RoleBindings, { namespace })).items).toEqual([]);
});

test.concurrent('with it the server alone has a token, which expires and which the kubelet renews', async () => {
  const namespace = await fleet.namespace();
  const image = faulty().container?.image ?? '';
  const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const companion = { name: 'companion', image, args: ['--port=8081', '--control-port=9091'], securityContext: restricted };
  await fleet.apply(
    namespace,
    'reader',
    faulty([], {
      kubernetesAccess: { rules: readPods, tokenExpirationSeconds: 600 },
      podTemplate: { spec: { containers: [companion] } },
    }),
  );
  await fleet.ready(namespace, 'reader');

  const [pod] = await fleet.pods(namespace, 'reader');
  const token = await fleet.call(namespace, 'reader', 'read_file', { path: `${CREDENTIALS}/token` });
  const claims = claimsOf(token);
  expect(claims.exp - claims.iat).toBe(600);
  expect(claims.exp * 1000).toBeGreaterThan(Date.now());
  expect(claims.sub).toBe(`system:serviceaccount:${namespace}:reader`);
  // Bound to the pod: it ends with it.
  expect(claims['kubernetes.io'].pod.name).toBe(pod?.metadata.name);
  expect(await reviewed(token)).toBe(claims.sub);
  expect(await fleet.call(namespace, 'reader', 'read_file', { path: `${CREDENTIALS}/namespace` })).toBe(namespace);
  expect(await fleet.call(namespace, 'reader', 'read_file', { path: `${CREDENTIALS}/ca.crt` })).toMatch(/^-----BEGIN CERTIFICATE-----/);

  // A projected volume is what makes the kubelet renew it: at four fifths of its life, in place.
  const volume = pod?.spec?.volumes?.find(({ projected }) => projected !== undefined);
  expect(volume?.projected?.sources?.find(({ serviceAccountToken }) => serviceAccountToken !== undefined)).toMatchObject({
    serviceAccountToken: { expirationSeconds: 600, path: 'token' },
  });
  const all = [...(pod?.spec?.initContainers ?? []), ...(pod?.spec?.containers ?? [])];
  expect(all.map(({ name }) => name)).toEqual(['guard', 'server', 'companion']);
  const holders = all.filter(({ volumeMounts = [] }) => volumeMounts.some(({ name }) => name === volume?.name));
  expect(holders.map(({ name }) => name)).toEqual(['server']);
  const address = new URL(`http://${pod?.status?.podIP ?? ''}:8081/mcp`);
  await expect(fleet.callAt(address, 'read_file', { path: `${CREDENTIALS}/token` })).rejects.toThrow(/ENOENT/);
});

test.concurrent('a real server reads the pods of its namespace, and RBAC refuses it the others', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'kubernetes', kubernetesServer({ rules: readPods }));
  const server = await fleet.ready(namespace, 'kubernetes');
  expect(server.status?.server?.name).toMatch(/kubernetes/i);
  expect(await fleet.call(namespace, 'kubernetes', 'pods_list_in_namespace', { namespace })).toMatch(/kubernetes-\S+/);
  await expect(fleet.call(namespace, 'kubernetes', 'pods_list_in_namespace', { namespace: 'mcp-fleet-system' })).rejects.toThrow(
    new RegExp(`User "system:serviceaccount:${namespace}:kubernetes" cannot list resource "pods".*in the namespace "mcp-fleet-system"`),
  );
});

test.concurrent('rights that nobody allowed are refused by name, until an administrator allows them', async () => {
  const namespace = await fleet.namespace();
  const rules = [{ apiGroups: ['example.dev'], resources: ['widgets'], verbs: ['get', 'list'] }];
  await fleet.apply(namespace, 'greedy', faulty([], { kubernetesAccess: { rules: [...readPods, ...rules] } }));
  const refused = await fleet.until(namespace, 'greedy', 'Accepted', {
    status: 'False',
    reason: 'AccessNotGrantable',
    message: /"get widgets of group example\.dev" is not covered by ClusterRole mcp-fleet-grantable; an administrator can add/,
  });
  expect(refused.status?.conditions?.find(({ type }) => type === 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'AccessNotGrantable',
  });
  expect(await fleet.pods(namespace, 'greedy')).toEqual([]);
  expect(await fleet.find(Roles, { namespace, name: 'greedy' })).toBeUndefined();

  const role = `grantable-${randomBytes(4).toString('hex')}`;
  await fleet.client.create(ClusterRoles, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: role, labels: { 'mcp-fleet.dev/grantable': 'true' } },
    rules,
  });
  try {
    await fleet.ready(namespace, 'greedy');
    expect((await fleet.client.get(Roles, { namespace, name: 'greedy' })).rules).toEqual([...readPods, ...rules]);
  } finally {
    await fleet.client.delete(ClusterRoles, { name: role });
  }
});

test.concurrent('a ClusterRole that nobody allowed is refused by name', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'root', faulty([], { kubernetesAccess: { clusterRoles: ['cluster-admin'] } }));
  await fleet.until(namespace, 'root', 'Ready', {
    status: 'False',
    reason: 'AccessNotGrantable',
    message: /clusterRoles: cluster-admin is not among those that this operator may bind \(view\)/,
  });
  expect(await fleet.pods(namespace, 'root')).toEqual([]);
});

test.concurrent('an author without bind gets no rights by way of a server; with bind all that it names; they go with it', async () => {
  const namespace = await fleet.namespace();
  const author = `system:serviceaccount:${namespace}:author`;
  await kubectl(['create', 'serviceaccount', 'author', '-n', namespace]);
  await kubectl(['create', 'rolebinding', 'author', '-n', namespace, '--clusterrole=edit', `--serviceaccount=${namespace}:author`]);
  const manifest = (spec: MCPServerSpecInput): string =>
    JSON.stringify({ apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPServer', metadata: { name: 'wide', namespace }, spec });
  const apply = (spec: MCPServerSpecInput) => kubectl(['apply', '--server-side', `--as=${author}`, '-f', '-'], manifest(spec));
  const wide = kubernetesServer({ rules: readPods, clusterRoles: ['view'], clusterWide: true });

  await expect(apply(kubernetesServer({ rules: readPods }))).rejects.toThrow(
    `${author} needs verb bind on ClusterRole mcp-fleet-grantable in namespace ${namespace}`,
  );
  await apply({ ...kubernetesServer(undefined), suspend: true });
  await expect(apply(wide)).rejects.toThrow(/needs verb bind on ClusterRole mcp-fleet-grantable/);
  const allow = ['create', 'rolebinding', 'granter', '-n', namespace, '--clusterrole=mcp-fleet-access-granter'];
  await kubectl([...allow, `--serviceaccount=${namespace}:author`]);
  await expect(apply(wide)).rejects.toThrow(/clusterWide: \S+ needs verb bind on ClusterRole mcp-fleet-grantable cluster-wide/);

  const granter = `${namespace}-granter`;
  await kubectl([
    'create',
    'clusterrolebinding',
    granter,
    '--clusterrole=mcp-fleet-access-granter',
    `--serviceaccount=${namespace}:author`,
  ]);
  try {
    await apply(wide);
    await fleet.ready(namespace, 'wide');
    expect(await fleet.call(namespace, 'wide', 'pods_list_in_namespace', { namespace: 'mcp-fleet-system' })).toMatch(/mcp-fleet-operator-/);

    const ours = async (): Promise<string[]> => {
      const [roles, bindings] = await Promise.all([fleet.client.list(ClusterRoles), fleet.client.list(ClusterRoleBindings)]);
      return [...roles.items, ...bindings.items]
        .map(({ metadata }) => metadata.name)
        .filter((name) => name.startsWith(`mcp-fleet:${namespace}:wide`));
    };
    expect((await ours()).length).toBe(3);
    await kubectl(['delete', 'mcpserver', 'wide', '-n', namespace, '--wait', '--timeout=60s', `--as=${author}`]);
    expect(await ours()).toEqual([]);
  } finally {
    await kubectl(['delete', 'clusterrolebinding', granter]);
  }
});
