import { parseArgs } from 'node:util';
import type { ArgumentTest, Bundle, Rule, Subject, ValidPolicy } from '../mcp/policy/bundle.ts';
import type { Caller } from '../mcp/policy/caller.ts';
import { compile, type Engine, type PolicyObject } from '../mcp/policy/engine.ts';
import { bundle, facts, issuer, policy } from '../mcp/policy/testing/builders.ts';
import { Recording } from './recording.ts';
import { growth, round, summarize, type Summary } from './statistics.ts';

// The decision engine alone: no HTTP, no parsing, no audit.

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '200000' }, save: { type: 'boolean', default: true } },
  allowNegative: true,
});
const CALLS = Number(values.calls);
const RULES_PER_POLICY = 10;
const TOOLS = 500;

/** A fixed pseudo-random sequence (mulberry32), so that every run decides the same. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const tests: readonly ArgumentTest[] = [
  { path: '/namespace', operator: 'In', values: ['staging', 'dev'] },
  { path: '/grace', operator: 'Between', min: 0, max: 300 },
  { path: '/name', operator: 'Prefix', value: 'web-' },
  { path: '/items/*/kind', operator: 'NotIn', values: ['Secret'] },
  { path: '/file', operator: 'Glob', value: '/srv/**' },
  { path: '/name', operator: 'Matches', value: '^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$' },
];

/** Rules as people write them: most by name or prefix and group, every fifth with argument tests, every fifth a Deny. */
function rules(number: number, next: (below: number) => number): readonly Rule[] {
  return Array.from({ length: RULES_PER_POLICY }, (_, at): Rule => {
    const group = next(40);
    const subjects: readonly Subject[] = [{ jwt: { issuer, groups: [`group-${group}`], scopes: [] } }, { user: `bot-${group}` }];
    const prefix = `area${next(25)}_`;
    const deny = at % 5 === 4;
    return {
      name: `rule-${at}`,
      effect: deny ? 'Deny' : 'Allow',
      ...(at % 3 === 0 ? {} : { subjects }),
      tools: [`${prefix}*`, `area${next(25)}_tool${next(20)}`, `*_tool${next(20)}`],
      arguments: at % 5 === 3 || (deny && number % 2 === 0) ? [tests[next(tests.length)] ?? { path: '/x', operator: 'Exists' }] : [],
    };
  });
}

function policies(count: number): readonly ValidPolicy[] {
  const next = sequence(1);
  return Array.from({ length: count }, (_, number) =>
    policy({
      name: `policy-${number}`,
      tier: number % 5 === 0 ? 'platform' : 'namespace',
      defaultAction: 'Deny',
      access: {
        maximumClass: 'Destructive',
        overrides: [
          { tools: [`area${next(25)}_*`], class: 'NonDestructive', unless: [{ path: '/force', operator: 'Exists', class: 'Destructive' }] },
        ],
      },
      rules: rules(number, next),
    }),
  );
}

const objects: readonly PolicyObject[] = Array.from({ length: TOOLS }, (_, number) => ({
  type: 'tool',
  name: `area${number % 25}_tool${Math.floor(number / 25)}`,
  facts: facts({ readOnly: number % 2 === 0 }),
}));
const newCaller = (number: number): Caller => ({
  type: 'jwt',
  issuer,
  subject: `user-${number}`,
  groups: [`group-${number % 40}`, `group-${(number * 7) % 40}`, 'everyone'],
  scopes: ['mcp:read'],
});
const callers = Array.from({ length: 200 }, (_, number) => newCaller(number));
const argumentSets: readonly object[] = [
  { namespace: 'staging', name: 'web-1' },
  { namespace: 'prod', grace: 30, items: [{ kind: 'Pod' }, { kind: 'Secret' }] },
  { file: '/srv/data/report.txt', name: 'web-2', force: true },
  {},
];

const engineOf = (spec: Bundle): Engine => compile(spec, { now: Date.now });

/** Microseconds per decision. `fresh` gives every call a caller that the engine has not seen. */
function decisions(engine: Engine, { fresh = false, calls = CALLS } = {}): Summary & { readonly allowed: number } {
  const next = sequence(2);
  const samples: number[] = [];
  let allowed = 0;
  for (let call = 0; call < calls; call += 1) {
    const caller = fresh ? newCaller(next(100_000)) : callers[next(callers.length)];
    const object = objects[next(TOOLS)];
    if (caller === undefined || object === undefined) continue;
    const request = { caller, method: 'tools/call', object, arguments: argumentSets[call % argumentSets.length] };
    const started = process.hrtime.bigint();
    const decision = engine.decide(request);
    samples.push(Number(process.hrtime.bigint() - started) / 1000);
    if (decision.effect === 'allow') allowed += 1;
  }
  return { ...summarize(samples), allowed: allowed / calls };
}

/** Median with minimum and maximum of five runs. */
function five(run: () => number): { readonly value: number; readonly method: string } {
  const results = Array.from({ length: 5 }, run).toSorted((a, b) => a - b);
  const shown = results.map((result) => round(result, 2));
  return { value: shown[2] ?? Number.NaN, method: `median of five runs, ${shown[0]} to ${shown[4]}` };
}

const milliseconds = (work: () => void): number => {
  const started = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - started) / 1e6;
};

const recording = new Recording('decision', {});
const spec = bundle(policies(50));
const engine = engineOf(spec);
const warm = decisions(engine);
console.log(`\n50 policies, 500 rules, ${TOOLS} tools, ${callers.length} callers; ${round(warm.allowed * 100)} % of the calls are allowed`);

for (const share of ['p50', 'p99'] as const) {
  const { value, method } = five(() => decisions(engine)[share]);
  recording.add({
    name: `decision ${share}`,
    value,
    unit: 'µs',
    method,
    ...(share === 'p99' ? { bar: '≤ 20', reached: value <= 20 } : {}),
  });
}
for (const share of ['p50', 'p99'] as const) {
  recording.add({
    name: `decision, caller never seen before, ${share}`,
    unit: 'µs',
    ...five(() => decisions(engine, { fresh: true, calls: CALLS / 10 })[share]),
  });
}
recording.add({
  name: 'decision, first 500 after a policy change, p99',
  unit: 'µs',
  ...five(() => decisions(engineOf(spec), { calls: 500 }).p99),
});

const everything = bundle(
  policies(50).map((each) => ({
    ...each,
    rules: each.rules.map((rule, at) => ({
      ...rule,
      tools: ['*'],
      effect: 'Allow' as const,
      arguments: [tests[at % tests.length] ?? { path: '/x', operator: 'Exists' }],
    })),
  })),
);
recording.add({
  name: 'decision, all 500 rules concern every tool and argument, p99',
  unit: 'µs',
  ...five(() => decisions(engineOf(everything), { calls: CALLS / 10 }).p99),
});

const listed = callers[0];
if (listed === undefined) throw new Error('no caller');
const list = (of: Engine) => () => of.filter(listed, objects, (object) => object);
const first = five(() => milliseconds(list(engineOf(spec))));
recording.add({ name: 'list of 500 tools, first after a policy change', unit: 'ms', bar: '≤ 10', reached: first.value <= 10, ...first });
list(engine)();
recording.add({ name: 'list of 500 tools, again', unit: 'ms', ...five(() => milliseconds(list(engine))) });
recording.add({ name: 'compile', unit: 'ms', ...five(() => milliseconds(() => engineOf(spec))) });

const sizes = [1, 10, 100, 1000];
const points = sizes.map((count) => {
  const { p99 } = decisions(engineOf(bundle(policies(count))), { calls: CALLS / 4 });
  recording.add({ name: `decision p99 with ${count} policies`, value: round(p99, 2), unit: 'µs' });
  return { x: count, y: p99 };
});
recording.add({ name: 'decision p99, growth with policies, exponent', value: round(growth(points), 2), unit: '' });

if (values.save) await recording.save(new Date());
