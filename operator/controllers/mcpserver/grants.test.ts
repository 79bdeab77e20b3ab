import { describe, expect, it } from 'vitest';
import type { PolicyRule } from '../../kube/wire.ts';
import { firstUncovered, reachesSecretsOrEverything } from './grants.ts';

const pods = (...verbs: string[]): PolicyRule => ({ apiGroups: [''], resources: ['pods'], verbs });

describe('firstUncovered', () => {
  const cases: Record<string, { asked: PolicyRule[]; held: PolicyRule[]; missing: string | undefined }> = {
    'covers nothing asked': { asked: [], held: [], missing: undefined },
    'covers the same rule': { asked: [pods('get')], held: [pods('get', 'list')], missing: undefined },
    'covers one rule by several': { asked: [pods('get', 'list')], held: [pods('get'), pods('list')], missing: undefined },
    'names the verb that is missing': { asked: [pods('get', 'delete')], held: [pods('get')], missing: 'delete pods of the core group' },
    'names the group that is missing': {
      asked: [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get'] }],
      held: [pods('get')],
      missing: 'get deployments of group apps',
    },
    'takes wildcards of the holder': {
      asked: [{ apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['update'] }],
      held: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      missing: undefined,
    },
    'asks for a wildcard that only a wildcard covers': {
      asked: [pods('*')],
      held: [pods('get', 'list', 'watch')],
      missing: '* pods of the core group',
    },
    'does not take a kind for its subresource': {
      asked: [{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }],
      held: [pods('get')],
      missing: 'get pods/log of the core group',
    },
    'takes a subresource of every kind': {
      asked: [{ apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get'] }],
      held: [{ apiGroups: ['apps'], resources: ['*/scale'], verbs: ['get'] }],
      missing: undefined,
    },
    'covers one name by every name': {
      asked: [{ ...pods('get'), resourceNames: ['a'] }],
      held: [pods('get')],
      missing: undefined,
    },
    'does not cover every name by one': {
      asked: [pods('get')],
      held: [{ ...pods('get'), resourceNames: ['a'] }],
      missing: 'get pods of the core group',
    },
    'names the object that is missing': {
      asked: [{ ...pods('get'), resourceNames: ['a', 'b'] }],
      held: [{ ...pods('get'), resourceNames: ['a'] }],
      missing: 'get pods of the core group named b',
    },
    'covers a URL by its prefix': {
      asked: [{ nonResourceURLs: ['/metrics/cadvisor'], verbs: ['get'] }],
      held: [{ nonResourceURLs: ['/metrics/*'], verbs: ['get'] }],
      missing: undefined,
    },
    'names the URL that is missing': {
      asked: [{ nonResourceURLs: ['/metrics', '/logs'], verbs: ['get'] }],
      held: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }],
      missing: 'get /logs',
    },
    'does not take resources for URLs': {
      asked: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }],
      held: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      missing: 'get /metrics',
    },
  };
  for (const [name, { asked, held, missing }] of Object.entries(cases)) {
    it(name, () => expect(firstUncovered(asked, held)).toBe(missing));
  }
});

describe('reachesSecretsOrEverything', () => {
  const cases: Record<string, [rule: PolicyRule, reaches: boolean]> = {
    'reading Secrets is not writing them': [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }, false],
    'writing Secrets': [{ apiGroups: [''], resources: ['secrets'], verbs: ['patch'] }, true],
    everything: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }, true],
    'everything of another group': [{ apiGroups: ['apps'], resources: ['*'], verbs: ['*'] }, false],
  };
  for (const [name, [rule, reaches]] of Object.entries(cases)) it(name, () => expect(reachesSecretsOrEverything([rule])).toBe(reaches));
});
