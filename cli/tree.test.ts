import { expect, test } from 'vitest';
import type { MCPServer } from '../api/mcpserver.ts';
import { serverTree, treeLines } from './tree.ts';

const labels = { 'mcp-fleet.dev/server': 'github' };
const server = { metadata: { name: 'github', namespace: 'agents', uid: 'server' }, spec: {} } as unknown as MCPServer;
const object = (
  name: string,
  owner: string | undefined,
  rest: { namespace?: string; spec?: object; labels?: Record<string, string> } = {},
) => ({
  metadata: {
    name,
    uid: `uid-${name}`,
    labels: rest.labels ?? labels,
    ...(rest.namespace === '' ? {} : { namespace: rest.namespace ?? 'agents' }),
    ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: owner, uid: owner }] }),
  },
  spec: rest.spec,
});

test('each object is below its owner, strangers are left out, bindings elsewhere are not', () => {
  const tree = serverTree(server, [
    { kind: 'Deployment', object: object('github', 'server') },
    { kind: 'ReplicaSet', object: object('old', 'uid-github', { spec: { replicas: 0 } }) },
    { kind: 'ReplicaSet', object: object('new', 'uid-github', { spec: { replicas: 1 } }) },
    { kind: 'Pod', object: object('pod', 'uid-new') },
    { kind: 'RoleBinding', object: object('mcp-fleet:agents:github', undefined, { namespace: 'staging' }) },
    { kind: 'RoleBinding', object: object('mcp-fleet:other:github', undefined, { namespace: 'staging' }) },
    { kind: 'ClusterRoleBinding', object: object('mcp-fleet:agents:github', undefined, { namespace: '' }) },
    { kind: 'Pod', object: object('other', 'server', { labels: { 'mcp-fleet.dev/server': 'gitlab' } }) },
    { kind: 'ConfigMap', object: object('github-tools', 'server') },
  ]);
  expect(treeLines(tree).map(({ label }) => label)).toEqual([
    'MCPServer/github',
    '├─ Deployment/github',
    '│  └─ ReplicaSet/new',
    '│     └─ Pod/pod',
    '├─ RoleBinding/mcp-fleet:agents:github (namespace staging)',
    '├─ ClusterRoleBinding/mcp-fleet:agents:github',
    '└─ ConfigMap/github-tools',
  ]);
});
