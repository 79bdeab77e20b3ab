import { describe, expect, it } from 'vitest';
import { type SelectingPolicy, tierOf } from './selection.ts';

const server = { namespace: 'agents', name: 'github', labels: { team: 'a', tier: 'prod' } };
const policy = (part: Partial<SelectingPolicy>): SelectingPolicy => ({ namespace: 'agents', ...part });
const expression = (key: string, operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: readonly string[]) =>
  policy({ selector: { matchExpressions: [{ key, operator, ...(values === undefined ? {} : { values }) }] } });
const platform = (part: Partial<SelectingPolicy>) => policy({ namespace: 'system', selector: {}, ...part });

const table: readonly [sentence: string, policy: SelectingPolicy, tier: string | undefined][] = [
  ['an empty selector takes every server beside it', policy({ selector: {} }), 'namespace'],
  ['but none of another namespace', policy({ namespace: 'other', selector: {} }), undefined],
  ['labels must all have their values', policy({ selector: { matchLabels: { team: 'a', tier: 'prod' } } }), 'namespace'],
  ['one that differs is enough', policy({ selector: { matchLabels: { team: 'a', tier: 'dev' } } }), undefined],
  ['a label that every object has is none', policy({ selector: { matchLabels: { constructor: 'x' } } }), undefined],
  ['In', expression('team', 'In', ['a', 'b']), 'namespace'],
  ['In of an absent label', expression('zone', 'In', ['a']), undefined],
  ['NotIn', expression('team', 'NotIn', ['a']), undefined],
  ['NotIn of an absent label', expression('zone', 'NotIn', ['a']), 'namespace'],
  ['Exists', expression('team', 'Exists'), 'namespace'],
  ['DoesNotExist', expression('team', 'DoesNotExist'), undefined],
  ['a server by name', policy({ targetRefs: [{ name: 'gitlab' }, { name: 'github' }] }), 'namespace'],
  ['another server by name', policy({ targetRefs: [{ name: 'gitlab' }] }), undefined],
  ['neither names nor selector take nothing', policy({}), undefined],
  [
    'namespaces in the operator’s namespace make the platform tier',
    platform({ namespaces: { matchNames: ['team-*', 'agents'] } }),
    'platform',
  ],
  ['the platform tier reaches only what it names', platform({ namespaces: { matchNames: ['team-*'] } }), undefined],
  ['every namespace', platform({ namespaces: { matchNames: ['*'] } }), 'platform'],
  ['a policy there without namespaces is about its own', platform({}), undefined],
  [
    'the platform tier selects servers by name in each namespace',
    platform({ selector: undefined as never, targetRefs: [{ name: 'github' }], namespaces: { matchNames: ['*'] } }),
    'platform',
  ],
  [
    'namespaces elsewhere reach nobody else’s servers',
    policy({ namespace: 'other', selector: {}, namespaces: { matchNames: ['*'] } }),
    undefined,
  ],
  ['and give no other tier at home', policy({ selector: {}, namespaces: { matchNames: ['*'] } }), 'namespace'],
];

describe('a policy selects', () => {
  it.each(table)('%s', (_, its, tier) => {
    expect(tierOf(its, server, 'system')).toBe(tier);
  });

  it('no platform tier where the operator is in no namespace', () => {
    expect(tierOf(platform({ namespaces: { matchNames: ['*'] } }), server, undefined)).toBeUndefined();
  });
});
