import { describe, expect, it } from 'vitest';
import { compile, type PolicyRequest } from './engine.ts';
import { explain } from './explanation.ts';
import { anonymous, bundle, ciBot, digestOf, human, issuer, policy, rule, tool } from './testing/builders.ts';

const now = 1000;
const rules = [
  rule({ name: 'others', tools: ['list_*'] }),
  rule({ name: 'past', tools: ['*'], notAfter: now - 1 }),
  rule({ name: 'bots', tools: ['*'], subjects: [{ user: 'other-bot' }] }),
  rule({ name: 'scoped', tools: ['*'], subjects: [{ jwt: { issuer, groups: [], scopes: ['w'] } }] }),
  rule({
    name: 'staging',
    tools: ['get_*'],
    arguments: [
      { path: '/name', operator: 'Exists' },
      { path: '/namespace', operator: 'In', values: ['staging'] },
    ],
  }),
  rule({ name: 'numbers', tools: ['get_*'], effect: 'Deny', arguments: [{ path: '/n', operator: 'LessThan', max: 1 }] }),
];
const spec = bundle([policy({ name: 'prod', generation: 7, defaultAction: 'Deny', rules })], {
  pins: { tools: { get_pod: [digestOf('a')] } },
});
const engine = compile(spec, { now: () => now });
const about = (part: Partial<PolicyRequest>) =>
  explain(engine, { caller: ciBot, method: 'tools/call', object: tool('get_pod', { readOnly: true }), ...part }, now);

describe('an explanation', () => {
  it('says of each rule whether it matches, and if not, what is in the way', () => {
    const { decision, tiers } = about({ arguments: { name: 'web', namespace: 'prod' } });
    expect(decision).toMatchObject({ code: 'ARGUMENT', rule: 'staging' });
    expect(tiers).toMatchObject([
      { tier: 'namespace', maximumClass: 'Destructive', defaultAction: 'Deny', tool: { class: 'ReadOnly', source: 'hint', pin: 'match' } },
    ]);
    expect(Object.fromEntries(tiers[0]?.rules.map((each) => [each.rule, [each.outcome, each.test, each.decides]]) ?? [])).toEqual({
      bots: ['subject', undefined, false],
      numbers: ['arguments', '/n LessThan 1', false],
      others: ['object', undefined, false],
      past: ['expired', undefined, false],
      scoped: ['subject', undefined, false],
      staging: ['arguments', '/namespace In "staging"', true],
    });
  });

  it('names the rule that allows', () => {
    const { decision, tiers } = about({ arguments: { name: 'web', namespace: 'staging' } });
    expect(decision.effect).toBe('allow');
    expect(tiers[0]?.rules.filter((each) => each.decides)).toMatchObject([
      { policy: 'agents/prod', generation: 7, rule: 'staging', effect: 'Allow', outcome: 'matches' },
    ]);
  });

  it('tells a missing scope from another caller', () => {
    const { tiers } = about({ caller: human([]), arguments: { name: 'web', namespace: 'prod' } });
    expect(tiers[0]?.rules.find((each) => each.rule === 'scoped')).toMatchObject({ outcome: 'scope' });
  });

  it('names the test that could not be evaluated', () => {
    const { decision, tiers } = about({ caller: anonymous, arguments: { n: 1e300 } });
    expect(decision.code).toBe('POLICY_ERROR');
    expect(tiers[0]?.rules.find((each) => each.decides)).toMatchObject({ rule: 'numbers', outcome: 'error', test: '/n LessThan 1' });
  });

  it('of arguments that are not known says what they decide', () => {
    const { answer, tiers, listed } = about({});
    expect([answer, listed]).toEqual(['depends', true]);
    expect(tiers[0]?.rules.filter((each) => each.outcome === 'depends')).toMatchObject([
      { rule: 'numbers', tests: ['/n LessThan 1'], decides: false },
      { rule: 'staging', tests: ['/name Exists', '/namespace In "staging"'], decides: false },
    ]);
  });

  it('says what sets the class of a tool, and between what it lies', () => {
    const overrides = [
      {
        tools: ['get_*'],
        class: 'Destructive' as const,
        unless: [{ path: '/dry', operator: 'Equals' as const, value: true, class: 'ReadOnly' as const }],
      },
    ];
    const access = { maximumClass: 'ReadOnly' as const, overrides };
    const dry = compile(bundle([policy({ name: 'dry', access }), policy({ name: 'other' })]), { now: () => now });
    const { answer, tiers } = explain(dry, { caller: anonymous, method: 'tools/call', object: tool('get_pod') }, now);
    expect(answer).toBe('depends');
    expect(tiers).toMatchObject([
      {
        setBy: { maximumClass: 'agents/dry', defaultAction: 'agents/dry' },
        tool: {
          class: 'ReadOnly',
          upTo: 'Destructive',
          source: 'override',
          overrides: [{ policy: 'agents/dry', class: 'Destructive', unless: ['ReadOnly if /dry Equals true'] }],
        },
      },
    ]);
  });

  it('of a method without object is the decision alone', () => {
    expect(explain(engine, { caller: anonymous, method: 'vendor/x' }, now)).toMatchObject({ decision: { code: 'METHOD' }, tiers: [] });
  });
});
