import fc from 'fast-check';
import type { ArgumentTest, Bundle, Rule, Subject, ValidPolicy } from '../bundle.ts';
import type { Caller } from '../caller.ts';
import { compile, type PolicyObject, type PolicyRequest } from '../engine.ts';
import { anonymous, bundle, ciBot, digestOf, facts, human, issuer, policy, triage } from './builders.ts';

// Small domains, so that everything collides with everything.
export const now = 1000;
const names = ['a', 'ab', 'b'] as const;
const argumentSets: readonly unknown[] = [undefined, { x: 'p' }, { x: 'q' }, { x: null }, { x: 5 }, { x: 'p', y: ['q', 'p'] }, { y: [] }];
const callers: readonly Caller[] = [
  anonymous,
  ciBot,
  { ...triage, tunnel: 'edge' },
  human(['g']),
  human(['h'], ['s']),
  human(['g'], ['s', 't']),
  human(undefined, ['s']),
];
const objects: readonly PolicyObject[] = [
  ...names.flatMap((name): PolicyObject[] => [
    { type: 'tool', name, facts: facts({ readOnly: true }) },
    { type: 'tool', name, facts: facts({ destructive: false }, digestOf('b')) },
  ]),
  { type: 'tool', name: 'a', facts: facts({}) },
  { type: 'prompt', name: 'ab', known: true },
  { type: 'tool', name: 'a' },
  { type: 'resource', name: 'file:///a', known: true },
  { type: 'resource', name: 'file:///a/../b', known: true },
  { type: 'resource', name: 'file:///b', known: false },
];
export const METHODS = {
  tool: 'tools/call',
  prompt: 'prompts/get',
  resource: 'resources/read',
  resourceTemplate: 'completion/complete',
} as const;

const test: fc.Arbitrary<ArgumentTest> = fc.constantFrom<ArgumentTest>(
  { path: '/x', operator: 'Exists' },
  { path: '/x', operator: 'Absent' },
  { path: '/x', operator: 'Equals', value: 'p' },
  { path: '/x', operator: 'NotEquals', value: 'p' },
  { path: '/y/*', operator: 'In', values: ['p'] },
  { path: '/y/*', operator: 'NotIn', values: ['p'] },
  { path: '/x', operator: 'Matches', value: '^p' },
  { path: '/x', operator: 'Between', min: 0, max: 9 },
);
const subject: fc.Arbitrary<Subject> = fc.constantFrom<Subject>(
  { user: 'ci-bot' },
  { serviceAccount: { namespace: 'agents', name: '*' } },
  { serviceAccount: { namespace: 'agents', name: 'triage' }, tunnel: 'edge' },
  { jwt: { issuer, groups: ['g'], scopes: [] } },
  { jwt: { issuer, groups: [], scopes: ['s'] } },
  { jwt: { issuer, groups: ['g', 'h'], scopes: ['s', 't'] } },
  { authenticated: true },
  { authenticated: false },
);
const globs = fc.uniqueArray(fc.constantFrom('a', 'a*', '*b', '*'), { minLength: 1, maxLength: 3 });
const toolClass = fc.constantFrom('ReadOnly' as const, 'NonDestructive' as const, 'Destructive' as const);

export const ruleBody = fc.record(
  {
    effect: fc.constantFrom('Allow' as const, 'Deny' as const),
    arguments: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(test, { minLength: 1, maxLength: 2 }) },
    ),
    subjects: fc.array(subject, { minLength: 1, maxLength: 3 }),
    tools: globs,
    prompts: globs,
    resources: fc.constantFrom(['file:///a'], ['file:///**'], ['**']),
    notAfter: fc.constantFrom(now - 1, now, now + 1),
    message: fc.constantFrom('Why.', 'Because.'),
  },
  { requiredKeys: ['effect', 'arguments'] },
) as fc.Arbitrary<Omit<Rule, 'name'>>;
const rules = fc.array(ruleBody, { maxLength: 4 }).map((list): Rule[] => list.map((body, number) => ({ ...body, name: `r${number}` })));

const override: fc.Arbitrary<ValidPolicy['access']['overrides'][number]> = fc.record({
  tools: globs,
  class: toolClass,
  unless: fc.array(
    fc.tuple(test, toolClass).map(([each, lowered]) => ({ ...each, class: lowered })),
    { maxLength: 2 },
  ),
});

const policyBody = fc
  .record({
    tier: fc.constantFrom('platform' as const, 'namespace' as const),
    mode: fc.constantFrom('Enforce' as const, 'Enforce' as const, 'Audit' as const),
    defaultAction: fc.constantFrom('Allow' as const, 'Deny' as const),
    access: fc.record({
      maximumClass: toolClass,
      trustAnnotations: fc.constantFrom('Never' as const, 'Pinned' as const, 'Always' as const),
      overrides: fc.array(override, { maxLength: 2 }),
    }),
    rules,
    pinning: fc.constantFrom('Off' as const, 'Warn' as const, 'Block' as const),
    hiddenAnswer: fc.constantFrom('NotFound' as const, 'Refused' as const),
  })
  .map((body) => policy(body));

export const set = fc.record({
  policies: fc
    .array(policyBody, { maxLength: 4 })
    .map((list): ValidPolicy[] => list.map((body, number) => ({ ...body, name: `p${number}`, generation: number }))),
  required: fc.boolean(),
  ambient: fc.constantFrom('Allow' as const, 'ReadOnly' as const, 'Deny' as const),
  pins: fc.constantFrom(undefined, { tools: {} }, { tools: { a: [digestOf('a')], ab: [digestOf('b')] } }),
});
export type PolicyInput = typeof set extends fc.Arbitrary<infer Value> ? Value : never;

export const bundleOf = ({ policies, pins, ...rest }: PolicyInput): Bundle =>
  bundle(policies, { ...rest, ...(pins === undefined ? {} : { pins }) });
export const engineOf = (input: PolicyInput) => compile(bundleOf(input), { now: () => now });
export const enforcing = (input: PolicyInput): PolicyInput => ({
  ...input,
  policies: input.policies.map((each) => ({ ...each, mode: 'Enforce' })),
});

export const question = fc.record({
  caller: fc.constantFrom(...callers),
  object: fc.constantFrom(...objects),
  args: fc.constantFrom(...argumentSets),
});
type Question = typeof question extends fc.Arbitrary<infer Value> ? Value : never;
export const requestOf = ({ caller, object, args }: Question): PolicyRequest => ({
  caller,
  method: METHODS[object.type],
  object,
  arguments: args,
});

export const everyQuestion: readonly Question[] = callers.flatMap((caller) =>
  objects.flatMap((object) => argumentSets.map((args) => ({ caller, object, args }))),
);
