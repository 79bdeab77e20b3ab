import { describe, expect, it } from 'vitest';
import { type Desired } from '../../runtime/children.ts';
import { input } from './builders.ts';
import { children } from './children.ts';
import { isNameOfChild } from './childname.ts';
import { toolLists } from './tools.ts';

const server = { namespace: 'agents', name: 'github' };

describe('the name of a child', () => {
  const access = { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }], clusterRoles: ['view'] };
  const made: Desired[] = [
    {
      guard: { enabled: true },
      replicas: 2,
      autoscaling: { minReplicas: 2, maxReplicas: 3 },
      expose: { ingress: { host: 'a.example.com' } },
    },
    { kubernetesAccess: { ...access, namespaces: ['other'] } },
    { kubernetesAccess: { ...access, clusterWide: true } },
  ].flatMap((spec) => {
    const given = input(spec, { bundle: { files: {}, headers: {}, pinned: false } });
    return [...children(given).flat(), ...toolLists(given.server, { tools: [], digest: '' })];
  });
  it.each(made)('is that of everything that is generated: $kind $metadata.namespace/$metadata.name', ({ metadata }) => {
    expect(isNameOfChild(metadata, server)).toBe(true);
  });

  const copies: Record<string, { name: string; namespace?: string }> = {
    'in another namespace': { name: 'github-policy', namespace: 'other' },
    'under another name': { name: 'github-policy-copy', namespace: 'agents' },
    'of another server whose name begins alike': { name: 'github-enterprise', namespace: 'agents' },
    'of the bindings of another server': { name: 'mcp-fleet:agents:gitlab', namespace: 'other' },
    'of the bindings of a server of that name elsewhere': { name: 'mcp-fleet:team:github' },
  };
  it.each(Object.entries(copies))('is not that of an object %s', (_, name) => expect(isNameOfChild(name, server)).toBe(false));
});
