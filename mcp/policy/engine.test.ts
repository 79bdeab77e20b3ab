import { describe, expect, it } from 'vitest';
import type { ArgumentTest, Bundle, ValidPolicy } from './bundle.ts';
import type { Caller } from './caller.ts';
import { compile, type Engine, type PolicyObject, type PolicyRequest } from './engine.ts';
import { anonymous, bundle, ciBot, digestOf, facts, human, issuer, policy, rule, tool, triage } from './testing/builders.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const engineOf = (spec: Bundle, at = now): Engine => compile(spec, { now: () => at });

interface Call {
  readonly caller?: Caller;
  readonly method?: string;
  readonly object?: PolicyObject;
  readonly arguments?: unknown;
}
const request = ({ caller = anonymous, method = 'tools/call', object = tool('get_pod'), ...rest }: Call): PolicyRequest => ({
  caller,
  method,
  object,
  ...rest,
});

/** `listed` or `hidden`, and the code of the decision. */
function outcome(spec: Bundle, call: Call): string {
  const engine = engineOf(spec);
  const asked = request(call);
  const decision = engine.decide(asked);
  const listed = asked.object !== undefined && engine.visible(asked.caller, asked.object);
  return `${listed ? 'listed' : 'hidden'} ${decision.code}`;
}

const readOnly = policy({ access: { maximumClass: 'ReadOnly' } });
const reading = { readOnly: true };
const harmless = { destructive: false };
const pinned = (...names: string[]) => ({ pins: { tools: Object.fromEntries(names.map((name) => [name, [digestOf('a')]])) } });
const overriding = (...overrides: ValidPolicy['access']['overrides']) => policy({ access: { maximumClass: 'ReadOnly', overrides } });
const scaleUnlessAbsent: ValidPolicy['access']['overrides'][number] = {
  tools: ['resources_scale'],
  class: 'Destructive',
  unless: [{ path: '/scale', operator: 'Absent', class: 'ReadOnly' }],
};
const allowing = (part: Parameters<typeof rule>[0]) => policy({ defaultAction: 'Deny', rules: [rule(part)] });
const denying = (part: Parameters<typeof rule>[0]) => policy({ defaultAction: 'Allow', rules: [rule({ effect: 'Deny', ...part })] });
const needing = (scope: string) => allowing({ subjects: [{ jwt: { issuer, groups: [], scopes: [scope] } }] });
const staging: ArgumentTest = { path: '/namespace', operator: 'In', values: ['staging'] };
const notStaging: ArgumentTest = { path: '/namespace', operator: 'NotIn', values: ['staging'] };
const resource = (name: string, known = true): PolicyObject => ({ type: 'resource', name, known });
const prompt = (name: string, known = true): PolicyObject => ({ type: 'prompt', name, known });

const table: readonly [sentence: string, spec: Bundle, call: Call, expected: string][] = [
  // No policy.
  ['no policy at all lets everything pass', bundle([]), {}, 'listed ALLOWED'],
  ['a required policy that is missing refuses every call', bundle([], { required: true }), {}, 'hidden POLICY_MISSING'],
  ['the ambient posture Deny does the same', bundle([], { ambient: 'Deny' }), {}, 'hidden POLICY_MISSING'],
  ['the ambient posture ReadOnly is a ceiling', bundle([], { ambient: 'ReadOnly' }), {}, 'hidden CLASS'],
  [
    'and lets what is pinned as read-only pass',
    bundle([], { ambient: 'ReadOnly', ...pinned('get_pod') }),
    { object: tool('get_pod', reading) },
    'listed ALLOWED',
  ],
  ['a required policy that exists changes nothing', bundle([policy()], { required: true }), {}, 'listed ALLOWED'],
  ['a policy in mode Audit is none to `required`', bundle([policy({ mode: 'Audit' })], { required: true }), {}, 'hidden POLICY_MISSING'],
  ['the ambient posture is silent where a policy is', bundle([policy()], { ambient: 'Deny' }), {}, 'listed ALLOWED'],

  // Default action and rules.
  ['what no rule mentions follows defaultAction: Deny', bundle([policy({ defaultAction: 'Deny' })]), {}, 'hidden NOT_ALLOWED'],
  ['an Allow rule beats defaultAction: Deny', bundle([allowing({ tools: ['get_*'] })]), {}, 'listed ALLOWED'],
  ['an Allow rule allows only what it names', bundle([allowing({ tools: ['list_*'] })]), {}, 'hidden NOT_ALLOWED'],
  ['a Deny rule beats defaultAction: Allow', bundle([denying({ tools: ['get_*'] })]), {}, 'hidden POLICY_RULE'],
  ['a Deny rule beats an Allow rule', bundle([allowing({ tools: ['*'] }), denying({ tools: ['get_pod'] })]), {}, 'hidden POLICY_RULE'],
  [
    'only Deny rules and defaultAction: Deny still deny the rest',
    bundle([policy({ defaultAction: 'Deny', rules: [rule({ effect: 'Deny', tools: ['x'] })] })]),
    {},
    'hidden NOT_ALLOWED',
  ],
  ['a rule without objects is about all of them', bundle([allowing({})]), {}, 'listed ALLOWED'],
  ['a rule about prompts says nothing about tools', bundle([allowing({ prompts: ['*'] })]), {}, 'hidden NOT_ALLOWED'],
  ['names are compared by case', bundle([denying({ tools: ['get_pod'] })]), { object: tool('Get_pod') }, 'listed ALLOWED'],
  ['a trailing space is another name', bundle([allowing({ tools: ['get_pod'] })]), { object: tool('get_pod ') }, 'hidden NOT_ALLOWED'],

  // Expiry.
  ['a rule holds until notAfter', bundle([allowing({ notAfter: now })]), {}, 'listed ALLOWED'],
  ['and not after it', bundle([allowing({ notAfter: now - 1 })]), {}, 'hidden NOT_ALLOWED'],
  ['an expired Deny rule denies no more', bundle([denying({ notAfter: now - 1 })]), {}, 'listed ALLOWED'],

  // Subjects.
  ['a rule for a user does not hold for strangers', bundle([allowing({ subjects: [{ user: 'ci-bot' }] })]), {}, 'hidden NOT_ALLOWED'],
  [
    'a rule for a user holds for the API key of that name',
    bundle([allowing({ subjects: [{ user: 'ci-bot' }] })]),
    { caller: ciBot },
    'listed ALLOWED',
  ],
  [
    'a JWT subject of that name is not that user',
    bundle([allowing({ subjects: [{ user: 'u1' }] })]),
    { caller: human([]) },
    'hidden NOT_ALLOWED',
  ],
  [
    'a rule for a ServiceAccount',
    bundle([allowing({ subjects: [{ serviceAccount: { namespace: 'agents', name: 'triage' } }] })]),
    { caller: triage },
    'listed ALLOWED',
  ],
  [
    'not for one of another namespace',
    bundle([allowing({ subjects: [{ serviceAccount: { namespace: 'other', name: 'triage' } }] })]),
    { caller: triage },
    'hidden NOT_ALLOWED',
  ],
  [
    'a star is every ServiceAccount of the namespace',
    bundle([allowing({ subjects: [{ serviceAccount: { namespace: 'agents', name: '*' } }] })]),
    { caller: triage },
    'listed ALLOWED',
  ],
  [
    'a rule for a group',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: ['oncall', 'sre'], scopes: [] } }] })]),
    { caller: human(['sre']) },
    'listed ALLOWED',
  ],
  [
    'not for other groups',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: ['oncall'], scopes: [] } }] })]),
    { caller: human(['dev']) },
    'hidden NOT_ALLOWED',
  ],
  [
    'not for the same group of another issuer',
    bundle([allowing({ subjects: [{ jwt: { issuer: 'https://evil', groups: ['oncall'], scopes: [] } }] })]),
    { caller: human(['oncall']) },
    'hidden NOT_ALLOWED',
  ],
  [
    'groups that a token keeps to itself allow nothing',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: ['oncall'], scopes: [] } }] })]),
    { caller: human(undefined) },
    'hidden NOT_ALLOWED',
  ],
  [
    'and do not evade a Deny rule',
    bundle([denying({ subjects: [{ jwt: { issuer, groups: ['contractors'], scopes: [] } }] })]),
    { caller: human(undefined) },
    'hidden POLICY_RULE',
  ],
  [
    'inside an entry everything must hold',
    bundle([allowing({ subjects: [{ user: 'ci-bot', tunnel: 'edge-7' }] })]),
    { caller: ciBot },
    'hidden NOT_ALLOWED',
  ],
  [
    'through the tunnel it does',
    bundle([allowing({ subjects: [{ user: 'ci-bot', tunnel: 'edge-7' }] })]),
    { caller: { ...ciBot, tunnel: 'edge-7' } },
    'listed ALLOWED',
  ],
  [
    'of several entries any may hold',
    bundle([allowing({ subjects: [{ user: 'x' }, { user: 'ci-bot' }] })]),
    { caller: ciBot },
    'listed ALLOWED',
  ],
  [
    'authenticated: true leaves anonymous callers out',
    bundle([allowing({ subjects: [{ authenticated: true }] })]),
    {},
    'hidden NOT_ALLOWED',
  ],
  [
    'authenticated: true takes everybody else',
    bundle([allowing({ subjects: [{ authenticated: true }] })]),
    { caller: triage },
    'listed ALLOWED',
  ],
  [
    'authenticated: false is anonymous callers alone',
    bundle([denying({ subjects: [{ authenticated: false }] })]),
    { caller: triage },
    'listed ALLOWED',
  ],
  ['no subjects are everyone, anonymous too', bundle([denying({ tools: ['get_pod'] })]), {}, 'hidden POLICY_RULE'],

  // Scopes.
  [
    'a missing scope is a challenge, and the tool is listed',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: [], scopes: ['mcp:write'] } }] })]),
    { caller: human([]) },
    'listed SCOPE',
  ],
  [
    'with the scope the call passes',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: [], scopes: ['mcp:write'] } }] })]),
    { caller: human([], ['mcp:write']) },
    'listed ALLOWED',
  ],
  [
    'no challenge where the group is missing too',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: ['oncall'], scopes: ['mcp:write'] } }] })]),
    { caller: human([]) },
    'hidden NOT_ALLOWED',
  ],
  [
    'no challenge where a Deny rule refuses anyway',
    bundle([
      policy({
        defaultAction: 'Deny',
        rules: [
          rule({ subjects: [{ jwt: { issuer, groups: [], scopes: ['w'] } }] }),
          rule({ name: 'no', effect: 'Deny', tools: ['get_pod'] }),
        ],
      }),
    ]),
    { caller: human([]) },
    'hidden POLICY_RULE',
  ],
  [
    'no challenge where the arguments fail as well',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: [], scopes: ['w'] } }], arguments: [staging] })]),
    { caller: human([]), arguments: { namespace: 'prod' } },
    'listed ARGUMENT',
  ],

  // Arguments.
  [
    'an Allow rule holds for its arguments',
    bundle([allowing({ arguments: [staging] })]),
    { arguments: { namespace: 'staging' } },
    'listed ALLOWED',
  ],
  [
    'and leaves others refused, but listed',
    bundle([allowing({ arguments: [staging] })]),
    { arguments: { namespace: 'prod' } },
    'listed ARGUMENT',
  ],
  ['an absent path fails an Allow rule', bundle([allowing({ arguments: [staging] })]), {}, 'listed ARGUMENT'],
  [
    'a negative test does not pass for an absent path in an Allow rule',
    bundle([allowing({ arguments: [notStaging] })]),
    {},
    'listed ARGUMENT',
  ],
  ['a Deny rule with a negative test matches an absent path', bundle([denying({ arguments: [notStaging] })]), {}, 'listed ARGUMENT'],
  ['a Deny rule with a positive test does not', bundle([denying({ arguments: [staging] })]), {}, 'listed ALLOWED'],
  [
    'all tests of a rule must hold',
    bundle([denying({ arguments: [staging, { path: '/x', operator: 'Exists' }] })]),
    { arguments: { namespace: 'staging' } },
    'listed ALLOWED',
  ],
  [
    'arguments that cannot be judged are refused',
    bundle([allowing({ arguments: [{ path: '/n', operator: 'LessThan', max: 5 }] })]),
    { arguments: { n: 1e300 } },
    'listed POLICY_ERROR',
  ],

  // Classes.
  ['a tool without hints is Destructive', bundle([readOnly], pinned('get_pod')), {}, 'hidden CLASS'],
  [
    'a pinned read-only hint lowers the class',
    bundle([readOnly], pinned('get_pod')),
    { object: tool('get_pod', reading) },
    'listed ALLOWED',
  ],
  [
    'the ceiling holds over an Allow rule',
    bundle([policy({ access: { maximumClass: 'ReadOnly' }, rules: [rule({ tools: ['*'] })] })]),
    {},
    'hidden CLASS',
  ],
  [
    'destructiveHint: false is NonDestructive',
    bundle([policy({ access: { maximumClass: 'NonDestructive' } })], pinned('get_pod')),
    { object: tool('get_pod', harmless) },
    'listed ALLOWED',
  ],
  ['NonDestructive is above ReadOnly', bundle([readOnly], pinned('get_pod')), { object: tool('get_pod', harmless) }, 'hidden CLASS'],
  [
    'read-only and destructive at once is Destructive',
    bundle([readOnly], pinned('get_pod')),
    { object: tool('get_pod', { readOnly: true, destructive: true }) },
    'hidden CLASS',
  ],
  ['a hint that is not pinned lowers nothing', bundle([readOnly], pinned('other')), { object: tool('get_pod', reading) }, 'hidden CLASS'],
  [
    'a hint that changed lowers nothing',
    bundle([readOnly], pinned('get_pod')),
    { object: tool('get_pod', reading, digestOf('b')) },
    'hidden CLASS',
  ],
  ['without pins hints lower nothing', bundle([readOnly]), { object: tool('get_pod', reading) }, 'hidden CLASS'],
  [
    'trustAnnotations: Always takes the hint as it is',
    bundle([policy({ access: { maximumClass: 'ReadOnly', trustAnnotations: 'Always' } })]),
    { object: tool('get_pod', reading) },
    'listed ALLOWED',
  ],
  [
    'trustAnnotations: Never takes none',
    bundle([policy({ access: { maximumClass: 'ReadOnly', trustAnnotations: 'Never' } })], pinned('get_pod')),
    { object: tool('get_pod', reading) },
    'hidden CLASS',
  ],
  [
    'the least trust of a tier holds',
    bundle(
      [
        policy({ name: 'a', access: { trustAnnotations: 'Always' } }),
        policy({ name: 'b', access: { maximumClass: 'ReadOnly', trustAnnotations: 'Never' } }),
      ],
      pinned('get_pod'),
    ),
    { object: tool('get_pod', reading) },
    'hidden CLASS',
  ],
  [
    'a tool listed twice is Destructive whatever it says',
    bundle([policy({ access: { maximumClass: 'ReadOnly', trustAnnotations: 'Always' } })]),
    { object: { type: 'tool', name: 'get_pod', facts: { ...facts(reading), ambiguous: true } } },
    'hidden CLASS',
  ],
  [
    'an override lowers the class without any hint',
    bundle([overriding({ tools: ['get_*'], class: 'ReadOnly', unless: [] })]),
    {},
    'listed ALLOWED',
  ],
  [
    'an override wins over a hint',
    bundle([overriding({ tools: ['get_*'], class: 'Destructive', unless: [] })], pinned('get_pod')),
    { object: tool('get_pod', reading) },
    'hidden CLASS',
  ],
  [
    'of two overrides the more dangerous class holds',
    bundle([overriding({ tools: ['get_*'], class: 'ReadOnly', unless: [] }, { tools: ['get_pod'], class: 'Destructive', unless: [] })]),
    {},
    'hidden CLASS',
  ],
  [
    'a class that depends on arguments: the harmless call passes',
    bundle([overriding(scaleUnlessAbsent)]),
    { object: tool('resources_scale'), arguments: { name: 'web' } },
    'listed ALLOWED',
  ],
  [
    'a class that depends on arguments: the other does not',
    bundle([overriding(scaleUnlessAbsent)]),
    { object: tool('resources_scale'), arguments: { scale: 3 } },
    'listed CLASS',
  ],
  [
    'null is not absence',
    bundle([overriding(scaleUnlessAbsent)]),
    { object: tool('resources_scale'), arguments: { scale: null } },
    'listed CLASS',
  ],
  [
    'an exception that raises the class holds in doubt',
    bundle([
      overriding({
        tools: ['*'],
        class: 'ReadOnly',
        unless: [{ path: '/mode', operator: 'NotEquals', value: 'read', class: 'Destructive' }],
      }),
    ]),
    {},
    'listed CLASS',
  ],
  ['prompts and resources have no class', bundle([readOnly]), { method: 'prompts/get', object: prompt('review') }, 'listed ALLOWED'],

  // Pinning.
  [
    'a changed tool under pinning: Warn passes',
    bundle([policy()], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'listed ALLOWED',
  ],
  [
    'a changed tool under pinning: Block does not',
    bundle([policy({ pinning: 'Block' })], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'hidden TOOL_CHANGED',
  ],
  ['an unchanged one does', bundle([policy({ pinning: 'Block' })], pinned('get_pod')), {}, 'listed ALLOWED'],
  [
    'one of several pinned digests suffices',
    bundle([policy({ pinning: 'Block' })], { pins: { tools: { get_pod: [digestOf('b'), digestOf('a')] } } }),
    {},
    'listed ALLOWED',
  ],
  ['a tool that was never pinned has not changed', bundle([policy({ pinning: 'Block' })], pinned('other')), {}, 'listed ALLOWED'],
  [
    'an Allow rule does not help a changed tool',
    bundle([policy({ pinning: 'Block', rules: [rule({ tools: ['*'] })] })], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'hidden TOOL_CHANGED',
  ],
  [
    'the strictest pinning of a tier holds',
    bundle([policy({ name: 'a', pinning: 'Off' }), policy({ name: 'b', pinning: 'Block' })], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'hidden TOOL_CHANGED',
  ],

  // Merge and tiers.
  [
    'default Deny if any policy of the tier says so',
    bundle([policy({ name: 'a' }), policy({ name: 'b', defaultAction: 'Deny' })]),
    {},
    'hidden NOT_ALLOWED',
  ],
  [
    'allows of a tier add up',
    bundle([policy({ name: 'a', defaultAction: 'Deny' }), { ...allowing({ tools: ['get_pod'] }), name: 'b' }]),
    {},
    'listed ALLOWED',
  ],
  ['the strictest maximum of a tier holds', bundle([policy({ name: 'a' }), { ...readOnly, name: 'b' }]), {}, 'hidden CLASS'],
  [
    'both tiers must allow: the platform refuses',
    bundle([policy({ tier: 'platform', namespace: 'system', defaultAction: 'Deny' }), allowing({ tools: ['*'] })]),
    {},
    'hidden NOT_ALLOWED',
  ],
  [
    'both tiers must allow: the namespace refuses',
    bundle([{ ...allowing({}), tier: 'platform' }, policy({ defaultAction: 'Deny' })]),
    {},
    'hidden NOT_ALLOWED',
  ],
  ['a tier without policies abstains', bundle([{ ...allowing({ tools: ['get_*'] }), tier: 'platform' }]), {}, 'listed ALLOWED'],
  [
    'overrides do not reach into the other tier',
    bundle([{ ...overriding({ tools: ['*'], class: 'ReadOnly', unless: [] }), tier: 'platform' }, readOnly]),
    {},
    'hidden CLASS',
  ],
  [
    'an invalid policy makes its targets refuse',
    bundle([policy(), { namespace: 'agents', name: 'bad', generation: 2, tier: 'namespace', invalid: 'x' }]),
    {},
    'hidden POLICY_ERROR',
  ],

  // Objects.
  ['a tool that the server does not have is not found', bundle([policy()]), { object: { type: 'tool', name: 'nope' } }, 'hidden NOT_FOUND'],
  [
    'a prompt that the server does not have',
    bundle([policy()]),
    { method: 'prompts/get', object: prompt('nope', false) },
    'hidden NOT_FOUND',
  ],
  [
    'prompts follow their rules',
    bundle([allowing({ prompts: ['code_*'] })]),
    { method: 'prompts/get', object: prompt('code_review') },
    'listed ALLOWED',
  ],
  [
    'argument tests read the arguments of a prompt',
    bundle([allowing({ prompts: ['*'], arguments: [staging] })]),
    { method: 'prompts/get', object: prompt('x'), arguments: { namespace: 'prod' } },
    'listed ARGUMENT',
  ],
  [
    'resources follow their rules',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'resources/read', object: resource('file:///srv/a/b') },
    'listed ALLOWED',
  ],
  [
    'and are refused beside them',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'resources/read', object: resource('file:///etc/passwd') },
    'hidden NOT_ALLOWED',
  ],
  [
    'a URI that is not in normal form is refused',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'resources/read', object: resource('file:///srv/../etc') },
    'hidden URI_NOT_NORMAL',
  ],
  [
    'also where only another tier reads URIs',
    bundle([policy(), { ...denying({ resources: ['file:///etc/**'] }), tier: 'platform' }]),
    { method: 'resources/read', object: resource('file:///srv/../etc/x') },
    'hidden URI_NOT_NORMAL',
  ],
  [
    'known or not, a URI that is not in normal form is refused alike',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'resources/read', object: resource('file:///srv/../etc', false) },
    'hidden URI_NOT_NORMAL',
  ],
  [
    'where no rule reads URIs their form does not matter',
    bundle([policy()]),
    { method: 'resources/read', object: resource('My Notes') },
    'listed ALLOWED',
  ],
  [
    'a subscription needs the resource',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'resources/subscribe', object: resource('file:///etc/x') },
    'hidden NOT_ALLOWED',
  ],
  [
    'a template is listed if some of its URIs can be allowed',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'completion/complete', object: { type: 'resourceTemplate', name: 'file:///{+path}', known: true } },
    'listed ALLOWED',
  ],
  [
    'and hidden if none can',
    bundle([allowing({ resources: ['file:///srv/**'] })]),
    { method: 'completion/complete', object: { type: 'resourceTemplate', name: 'db://{table}', known: true } },
    'hidden NOT_ALLOWED',
  ],
  [
    'a Deny rule hides a template only if it covers all its URIs',
    bundle([denying({ resources: ['file:///srv/secret/**'] })]),
    { method: 'completion/complete', object: { type: 'resourceTemplate', name: 'file:///srv/{+path}', known: true } },
    'listed ALLOWED',
  ],
  [
    'completion of a hidden prompt is refused',
    bundle([denying({ prompts: ['x'] })]),
    { method: 'completion/complete', object: prompt('x') },
    'hidden POLICY_RULE',
  ],
  [
    'completion takes argument tests as satisfiable',
    bundle([allowing({ prompts: ['x'], arguments: [staging] })]),
    { method: 'completion/complete', object: prompt('x') },
    'listed ALLOWED',
  ],
];

describe('a decision', () => {
  it.each(table)('%s', (_, spec, call, expected) => {
    expect(outcome(spec, call)).toBe(expected);
  });

  it('names the policy, its generation, the rule, the tier, and what is known of the tool', () => {
    const spec = bundle(
      [policy({ name: 'prod', generation: 7, rules: [rule({ name: 'no', effect: 'Deny', tools: ['get_*'], message: 'Ask Ann.' })] })],
      pinned('get_pod'),
    );
    expect(engineOf(spec).decide(request({ object: tool('get_pod', reading) }))).toEqual({
      effect: 'deny',
      code: 'POLICY_RULE',
      answer: 'NotFound',
      visible: false,
      policy: 'agents/prod',
      rule: 'no',
      generation: 7,
      tier: 'namespace',
      class: 'ReadOnly',
      classSource: 'hint',
      pin: 'match',
      message: 'Refused by policy: Ask Ann. Retrying will not help.',
    });
  });

  it('takes the more dangerous class of the two tiers for the record', () => {
    const spec = bundle([{ ...overriding({ tools: ['*'], class: 'ReadOnly', unless: [] }), tier: 'platform' }, policy()]);
    expect(engineOf(spec).decide(request({}))).toMatchObject({ effect: 'allow', class: 'Destructive', classSource: 'default' });
  });

  it('asks for all scopes that both tiers miss', () => {
    const decision = engineOf(bundle([needing('a'), { ...needing('b'), tier: 'platform' }])).decide(request({ caller: human([]) }));
    expect(decision).toMatchObject({ answer: 'Challenge', scopes: ['b', 'a'] });
  });

  it('forgets a rule when it expires, without being compiled anew', () => {
    let at = now;
    const engine = compile(bundle([allowing({ notAfter: now + 10 })]), { now: () => at });
    expect(engine.decide(request({})).effect).toBe('allow');
    expect(engine.nextExpiry()).toBe(now + 10);
    at = now + 11;
    expect(engine.decide(request({})).effect).toBe('deny');
    expect(engine.nextExpiry()).toBeUndefined();
  });

  it('refuses when the clock tells no time', () => {
    expect(compile(bundle([denying({ notAfter: now })]), { now: () => Number.NaN }).decide(request({})).code).toBe('POLICY_ERROR');
  });

  it('refuses a method that came without its object', () => {
    expect(engineOf(bundle([policy()])).decide({ caller: anonymous, method: 'tools/call' }).code).toBe('POLICY_ERROR');
    expect(engineOf(bundle([policy()])).decide(request({ method: 'prompts/get' })).code).toBe('POLICY_ERROR');
  });
});

const answers: readonly [sentence: string, spec: Bundle, call: Call, answer: string][] = [
  ['a tool that can never be used is answered as one that does not exist', bundle([readOnly]), {}, 'NotFound'],
  ['a tool that does not exist', bundle([readOnly]), { object: { type: 'tool', name: 'nope' } }, 'NotFound'],
  ['hiddenAnswer: Refused says so', bundle([{ ...readOnly, hiddenAnswer: 'Refused' }]), {}, 'Refused'],
  [
    'hiddenAnswer is NotFound if any policy says so',
    bundle([{ ...readOnly, hiddenAnswer: 'Refused' }, policy({ name: 'b' })]),
    {},
    'NotFound',
  ],
  ['a listed tool is refused with the reason', bundle([allowing({ arguments: [staging] })]), {}, 'Refused'],
  [
    'who could use a changed tool is told that it changed',
    bundle([policy({ pinning: 'Block' })], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'Refused',
  ],
  [
    'who could not, is not',
    bundle([policy({ pinning: 'Block', defaultAction: 'Deny' })], pinned('get_pod')),
    { object: tool('get_pod', {}, digestOf('b')) },
    'NotFound',
  ],
  [
    'a missing scope is a challenge',
    bundle([allowing({ subjects: [{ jwt: { issuer, groups: [], scopes: ['w'] } }] })]),
    { caller: human([]) },
    'Challenge',
  ],
  ['a missing policy is told', bundle([], { required: true }), {}, 'Refused'],
  [
    'a missing policy is told for tools that do not exist as well',
    bundle([], { required: true }),
    { object: { type: 'tool', name: 'nope' } },
    'Refused',
  ],
  [
    'a visible tool whose arguments cannot be judged',
    bundle([denying({ arguments: [{ path: '/n', operator: 'LessThan', max: 1 }] })]),
    { arguments: { n: 1e300 } },
    'Refused',
  ],
  [
    'a hidden one is not given away by arguments that cannot be judged',
    bundle([{ ...denying({ arguments: [{ path: '/n', operator: 'LessThan', max: 1 }] }), access: readOnly.access }]),
    { arguments: { n: 1e300 } },
    'NotFound',
  ],
  ['an unknown method', bundle([policy()]), { method: 'vendor/do' }, 'Method'],
];

describe('the form of an answer', () => {
  it.each(answers)('%s', (_, spec, call, answer) => {
    expect(engineOf(spec).decide(request(call))).toMatchObject({ effect: 'deny', answer });
  });

  it('is the same in every member for a hidden tool and one that does not exist, but for the audit record', () => {
    const engine = engineOf(bundle([readOnly]));
    const hidden = engine.decide(request({}));
    const missing = engine.decide(request({ object: { type: 'tool', name: 'nope' } }));
    expect([hidden, missing]).toMatchObject([
      { answer: 'NotFound', visible: false },
      { answer: 'NotFound', visible: false },
    ]);
  });
});

const noMethods = policy({
  methods: {
    completion: 'Deny',
    logging: 'Deny',
    subscriptions: 'Deny',
    tasks: 'Deny',
    unknown: 'Deny',
    serverRequests: { elicitation: 'Deny', sampling: 'Deny', roots: 'Deny' },
  },
});

describe('methods', () => {
  const protocol = [
    'initialize',
    'ping',
    'server/discover',
    'notifications/initialized',
    'notifications/cancelled',
    'tools/list',
    'prompts/list',
    'resources/list',
    'resources/templates/list',
  ];
  it.each(protocol)('%s passes whatever the policy says', (method) => {
    expect(engineOf(bundle([noMethods])).decide({ caller: anonymous, method }).effect).toBe('allow');
    expect(engineOf(bundle([], { required: true })).decide({ caller: anonymous, method }).effect).toBe('allow');
  });

  const gated = [
    'logging/setLevel',
    'subscriptions/listen',
    'tasks/get',
    'tasks/list',
    'tasks/result',
    'tasks/cancel',
    'tasks/update',
    'vendor/unknown',
  ];
  it.each(gated)('%s hangs on its switch', (method) => {
    const open = policy({ methods: { ...policy().methods, unknown: 'Allow' } });
    expect(engineOf(bundle([open])).decide({ caller: anonymous, method }).effect).toBe('allow');
    expect(engineOf(bundle([open, { ...noMethods, name: 'b' }])).decide({ caller: anonymous, method }).code).toBe('METHOD');
    expect(engineOf(bundle([], { required: true })).decide({ caller: anonymous, method }).code).toBe('POLICY_MISSING');
  });

  it.each([
    ['completion/complete', prompt('x')],
    ['resources/subscribe', resource('file:///x')],
  ] as const)('%s hangs on its switch and its object', (method, object) => {
    expect(engineOf(bundle([policy()])).decide({ caller: anonymous, method, object }).effect).toBe('allow');
    expect(engineOf(bundle([noMethods])).decide({ caller: anonymous, method, object }).code).toBe('METHOD');
  });

  it('are all allowed without any policy', () => {
    expect(engineOf(bundle([])).decide({ caller: anonymous, method: 'vendor/unknown' }).effect).toBe('allow');
    expect(engineOf(bundle([], { ambient: 'ReadOnly' })).decide({ caller: anonymous, method: 'vendor/unknown' }).code).toBe('METHOD');
  });

  it('of servers hang on serverRequests, and both tiers must allow', () => {
    const engine = engineOf(bundle([policy()]));
    expect(engine.serverRequest('elicitation/create').effect).toBe('allow');
    expect(engine.serverRequest('ping').effect).toBe('allow');
    expect(engine.serverRequest('sampling/createMessage')).toMatchObject({ code: 'SERVER_REQUEST' });
    expect(engine.serverRequest('roots/list')).toMatchObject({ code: 'SERVER_REQUEST' });
    expect(engine.serverRequest('vendor/ask')).toMatchObject({ code: 'SERVER_REQUEST' });
    expect(engineOf(bundle([policy(), { ...noMethods, tier: 'platform' }])).serverRequest('elicitation/create').effect).toBe('deny');
    expect(engineOf(bundle([])).serverRequest('sampling/createMessage').effect).toBe('allow');
    expect(engineOf(bundle([], { required: true })).serverRequest('elicitation/create')).toMatchObject({ code: 'POLICY_MISSING' });
  });
});

describe('mode: Audit', () => {
  const shadow: ValidPolicy = { ...readOnly, name: 'shadow', mode: 'Audit', generation: 3 };

  it('decides nothing and records what it would have refused', () => {
    const decision = engineOf(bundle([shadow])).decide(request({}));
    expect(decision).toMatchObject({
      effect: 'allow',
      wouldDeny: { code: 'CLASS', policy: 'agents/shadow', generation: 3, tier: 'namespace' },
    });
  });

  it('hides nothing', () => {
    expect(engineOf(bundle([shadow])).visible(anonymous, tool('get_pod'))).toBe(true);
  });

  it('records nothing for what the enforced policies refuse anyway', () => {
    const decision = engineOf(bundle([policy({ defaultAction: 'Deny' }), shadow])).decide(request({}));
    expect(decision).toMatchObject({ code: 'NOT_ALLOWED' });
    expect(decision).not.toHaveProperty('wouldDeny');
  });

  it('records nothing for what it would have allowed', () => {
    expect(
      engineOf(bundle([{ ...shadow, access: { ...shadow.access, maximumClass: 'Destructive' } }])).decide(request({})),
    ).not.toHaveProperty('wouldDeny');
  });

  it('records an error of its own and lets pass', () => {
    const broken = policy({ mode: 'Audit', rules: [rule({ effect: 'Deny', arguments: [{ path: '/n', operator: 'LessThan', max: 1 }] })] });
    expect(engineOf(bundle([broken])).decide(request({ arguments: { n: 1e300 } }))).toMatchObject({
      effect: 'allow',
      wouldDeny: { code: 'POLICY_ERROR' },
    });
  });
});

describe('settings', () => {
  it('are the strictest of all policies', () => {
    const a = policy({
      name: 'a',
      limits: { rate: [], concurrency: { perCaller: 8, total: 64 }, maxRequestBytes: 100, callTimeoutMs: 5 },
      audit: { level: 'Arguments', redact: ['/b'], onFailure: 'Drop' },
      pinning: 'Off',
    });
    const b = policy({
      name: 'b',
      tier: 'platform',
      limits: { rate: [], concurrency: { perCaller: 4, streamsPerCaller: 2 }, maxRequestBytes: 200 },
      audit: { level: 'None', redact: ['/a', '/b'], onFailure: 'Block' },
      pinning: 'Block',
    });
    const engine = engineOf(
      bundle([a, b, { ...readOnly, name: 'c', mode: 'Audit', limits: { rate: [], concurrency: {}, maxRequestBytes: 1 } }]),
    );
    expect(engine.settings).toEqual({
      hiddenAnswer: 'NotFound',
      pinning: 'Block',
      tasks: 'BoundToCaller',
      audit: { level: 'Arguments', redact: ['/a', '/b'], onFailure: 'Block' },
      maxRequestBytes: 100,
      callTimeoutMs: 5,
    });
    expect(engine.limits.concurrency).toEqual({ perCaller: 4, total: 64, streamsPerCaller: 2 });
  });

  it('without a policy record metadata and never stand in the way', () => {
    expect(engineOf(bundle([])).settings).toEqual({
      hiddenAnswer: 'NotFound',
      pinning: 'Warn',
      tasks: 'BoundToCaller',
      audit: { level: 'Metadata', redact: [], onFailure: 'Drop' },
    });
  });
});

describe('memory', () => {
  it('stays bounded whatever URIs callers send, and decisions stay right', () => {
    const spec = bundle([
      policy({ defaultAction: 'Deny', rules: [rule({ resources: ['file:///srv/**'], subjects: [{ authenticated: true }] })] }),
    ]);
    const engine = engineOf(spec);
    for (let number = 0; number < 60_000; number += 1) {
      const object = resource(`file:///${number % 2 === 0 ? 'srv' : 'etc'}/${'x'.repeat(number % 400)}${number}`);
      const expected = number % 2 === 0 ? 'allow' : 'deny';
      if (engine.decide({ caller: ciBot, method: 'resources/read', object }).effect !== expected) throw new Error(object.name);
    }
    expect(engine.tiers[0]?.kept).toBeLessThanOrEqual(32_768 + 4096);
  });
});
