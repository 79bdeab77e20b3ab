import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startCluster } from '../e2e/cluster/cluster.ts';
import type { Cluster } from '../e2e/cluster/cluster.ts';
import { kubectlFor } from '../e2e/kubectl.ts';
import type { Kubectl } from '../e2e/kubectl.ts';
import { ROOT } from './sources.ts';

let cluster: Cluster;
let kubectl: Kubectl;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true, controllerManager: true });
  kubectl = await kubectlFor(cluster.kubeconfigPath);
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'config/install.yaml')]);
});
afterAll(() => cluster.stop());

const OPERATOR = 'system:serviceaccount:mcp-fleet-system:mcp-fleet-operator';

/** Whether the operator's ServiceAccount may do that. */
function operatorMay(...request: readonly string[]): Promise<boolean> {
  return kubectl(['auth', 'can-i', ...request, '--as', OPERATOR, '--quiet']).then(
    () => true,
    () => false,
  );
}

test('config/install.yaml holds what kubectl kustomize config/default renders', async () => {
  const rendered = await kubectl(['kustomize', join(ROOT, 'config/default')]);
  const committed = await readFile(join(ROOT, 'config/install.yaml'), 'utf8');
  expect(objects(committed)).toEqual(objects(rendered));
});

test.each(['crd', 'secret-rotation', 'prometheus', 'samples'])('config/%s renders', async (name) => {
  expect(await kubectl(['kustomize', join(ROOT, 'config', name)])).toContain('kind:');
});

test('it can be applied again, also after the control plane has filled in aggregated rules', async () => {
  await expect
    .poll(() => kubectl(['get', 'clusterrole', 'mcp-fleet-grantable', '-o', 'jsonpath={.rules[*].resources}']), { timeout: 20_000 })
    .toContain('deployments');
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'config/install.yaml')]);
  expect(await kubectl(['get', 'clusterrole', 'mcp-fleet-grantable', '-o', 'jsonpath={.rules[*].resources}'])).toContain('deployments');
});

test('client-side apply works, too', async () => {
  const output = await kubectl(['apply', '--dry-run=server', '-f', join(ROOT, 'config/install.yaml')]);
  expect(output).toContain('customresourcedefinition');
});

test('the sample is accepted', async () => {
  await kubectl(['apply', '--dry-run=server', '-k', join(ROOT, 'config/samples')]);
});

test('the manager fits into a namespace with the restricted Pod Security Standard', async () => {
  const warnings = await kubectl([
    'label',
    '--dry-run=server',
    '--overwrite',
    'ns',
    'mcp-fleet-system',
    'pod-security.kubernetes.io/enforce=restricted',
  ]);
  expect(warnings).not.toContain('violate');
});

test('the image of the manager is the version of package.json', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const image = await kubectl([
    'get',
    'deployment',
    '-n',
    'mcp-fleet-system',
    'mcp-fleet-operator',
    '-o',
    'jsonpath={..containers[0].image}',
  ]);
  expect(image.split(':')[1]).toBe(version);
});

describe('the operator may not', () => {
  test.each([
    ['read Secrets', ['get', 'secrets']],
    ['list Secrets', ['list', 'secrets']],
    ['change Secrets', ['patch', 'secrets']],
    ['escalate', ['escalate', 'clusterroles']],
    ['bind any ClusterRole', ['bind', 'clusterroles']],
    ['change pods', ['patch', 'pods']],
    ['create pods', ['create', 'pods']],
    ['run commands in pods', ['create', 'pods', '--subresource', 'exec']],
    ['impersonate', ['impersonate', 'users']],
    ['mint tokens', ['create', 'serviceaccounts', '--subresource', 'token']],
  ])('%s', async (_, request) => {
    expect(await operatorMay(...request, '--all-namespaces')).toBe(false);
  });
});

test('whoever may view a namespace may view MCPServers there, whoever may edit may change them', async () => {
  for (const role of ['view', 'edit']) {
    await kubectl(['create', 'rolebinding', `test-${role}`, '-n', 'default', '--clusterrole', role, '--user', role]);
  }
  await expect.poll(() => may('view', 'list'), { timeout: 20_000 }).toBe(true);
  await expect.poll(() => may('edit', 'create'), { timeout: 20_000 }).toBe(true);
  expect(await may('view', 'create')).toBe(false);
});

function may(user: string, verb: string): Promise<boolean> {
  return kubectl(['auth', 'can-i', verb, 'mcpservers.mcp-fleet.dev', '-n', 'default', '--as', user, '--quiet']).then(
    () => true,
    () => false,
  );
}

function objects(text: string): Record<string, unknown> {
  const all = parseAllDocuments(text)
    .map((each) => each.toJSON() as { kind: string; metadata: { name: string; namespace?: string } } | null)
    .filter((each) => each !== null);
  return Object.fromEntries(all.map((each) => [`${each.kind} ${each.metadata.namespace ?? ''}/${each.metadata.name}`, each]));
}
