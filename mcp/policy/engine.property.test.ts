import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Rule, ValidPolicy } from './bundle.ts';
import type { Decision } from './decision.ts';
import { compile } from './engine.ts';
import {
  bundleOf,
  enforcing,
  engineOf,
  everyQuestion,
  METHODS,
  now,
  type PolicyInput,
  question,
  requestOf,
  ruleBody,
  set,
} from './testing/arbitraries.ts';
import { burn, explosive } from './testing/fuse.ts';

/** Of two bundles, the second may allow only what the first allows, whoever asks for what. */
function allowsNoMore(before: PolicyInput, after: PolicyInput): void {
  const [first, second] = [engineOf(before), engineOf(after)];
  for (const each of everyQuestion) {
    if (second.decide(requestOf(each)).effect === 'allow') expect(first.decide(requestOf(each)).effect).toBe('allow');
    if (second.visible(each.caller, each.object)) expect(first.visible(each.caller, each.object)).toBe(true);
  }
}

const shuffled = <Item>(list: readonly Item[]) => fc.shuffledSubarray([...list], { minLength: list.length });

const runs = { numRuns: 200 };

describe('whatever the policies', { timeout: 60_000 }, () => {
  it('what is callable is listed', () => {
    fc.assert(
      fc.property(set, (input) => {
        const engine = engineOf(input);
        for (const each of everyQuestion) {
          if (engine.decide(requestOf(each)).effect === 'allow') expect(engine.visible(each.caller, each.object)).toBe(true);
        }
      }),
      runs,
    );
  });

  it('what is listed is refused by nothing but arguments, or asked for a scope', () => {
    fc.assert(
      fc.property(set, (input) => {
        const engine = engineOf(input);
        const byArguments = input.policies.some(({ access }) => access.overrides.some(({ unless }) => unless.length > 0));
        for (const each of everyQuestion) {
          if (!engine.visible(each.caller, each.object)) continue;
          expect(['ALLOWED', 'ARGUMENT', 'SCOPE', ...(byArguments ? ['CLASS'] : [])]).toContain(engine.decide(requestOf(each)).code);
        }
      }),
      runs,
    );
  });

  it('a refusal says truly whether the object is listed', () => {
    fc.assert(
      fc.property(set, question, (input, each) => {
        const engine = engineOf(input);
        const decision = engine.decide(requestOf(each));
        if (decision.effect === 'deny') expect(decision.visible).toBe(engine.visible(each.caller, each.object));
      }),
      { numRuns: 2000 },
    );
  });

  it('what can never be used is answered like what does not exist', () => {
    fc.assert(
      fc.property(set, (input) => {
        const engine = engineOf(input);
        if (engine.settings.hiddenAnswer === 'Refused') return;
        for (const each of everyQuestion) {
          const decision = engine.decide(requestOf(each));
          if (decision.effect === 'allow' || decision.visible) continue;
          const told: readonly string[] = ['POLICY_MISSING', 'URI_NOT_NORMAL', 'TOOL_CHANGED'];
          if (!told.includes(decision.code)) expect(decision.answer).toBe('NotFound');
        }
      }),
      runs,
    );
  });

  it('their order and that of their lists does not matter', () => {
    fc.assert(
      fc.property(
        set.chain((input) =>
          fc.tuple(
            fc.constant(input),
            shuffled(input.policies).chain((policies) =>
              fc.tuple(
                ...policies.map((each) =>
                  fc
                    .tuple(
                      shuffled(
                        each.rules.map((rule) => ({ ...rule, ...(rule.tools === undefined ? {} : { tools: rule.tools.toReversed() }) })),
                      ),
                      shuffled(each.access.overrides),
                    )
                    .map(([its, overrides]): ValidPolicy => ({ ...each, rules: its, access: { ...each.access, overrides } })),
                ),
              ),
            ),
          ),
        ),
        ([input, policies]) => {
          const [first, second] = [engineOf(input), engineOf({ ...input, policies })];
          for (const each of everyQuestion) expect(second.decide(requestOf(each))).toEqual(first.decide(requestOf(each)));
          expect(second.settings).toEqual(first.settings);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('a further Deny rule never allows anything', () => {
    fc.assert(
      fc.property(set, ruleBody, fc.nat(), (input, body, at) => {
        const position = input.policies.length === 0 ? 0 : at % input.policies.length;
        const policies = input.policies.map((each, number) =>
          number === position ? { ...each, rules: [...each.rules, { ...body, name: 'new', effect: 'Deny' as const }] } : each,
        );
        allowsNoMore(input, { ...input, policies });
      }),
      runs,
    );
  });

  const stricter: readonly [sentence: string, change: (each: ValidPolicy) => ValidPolicy][] = [
    ['a lower maximum', (each) => ({ ...each, access: { ...each.access, maximumClass: 'ReadOnly' } })],
    [
      'a middling maximum',
      (each) =>
        each.access.maximumClass === 'Destructive' ? { ...each, access: { ...each.access, maximumClass: 'NonDestructive' } } : each,
    ],
    ['less trust', (each) => ({ ...each, access: { ...each.access, trustAnnotations: 'Never' } })],
    ['stricter pinning', (each) => ({ ...each, pinning: 'Block' })],
    ['defaultAction: Deny', (each) => ({ ...each, defaultAction: 'Deny' })],
  ];
  it.each(stricter)('%s never allows anything', (_, change) => {
    fc.assert(
      fc.property(set, fc.nat(), (input, at) => {
        const policies = input.policies.map((each, number) => (number === at % input.policies.length ? change(each) : each));
        allowsNoMore(input, { ...input, policies });
      }),
      runs,
    );
  });

  it('nothing above the ceiling is allowed', () => {
    const classes: readonly string[] = ['ReadOnly', 'NonDestructive', 'Destructive'];
    fc.assert(
      fc.property(set, (input) => {
        // One tier, since the record names the more dangerous class of two.
        const policies = enforcing(input).policies.map((each) => ({ ...each, tier: 'namespace' as const }));
        const engine = engineOf({ ...input, policies });
        const ceiling = Math.min(...policies.map(({ access }) => classes.indexOf(access.maximumClass)));
        for (const each of everyQuestion) {
          const decision = engine.decide(requestOf(each));
          if (decision.effect === 'allow' && decision.class !== undefined)
            expect(classes.indexOf(decision.class)).toBeLessThanOrEqual(ceiling);
        }
      }),
      runs,
    );
  });

  it('a Deny rule for everyone and everything leaves nothing', () => {
    fc.assert(
      fc.property(set, fc.nat(), (input, at) => {
        const { policies } = enforcing(input);
        const all: Rule = { name: 'nothing', effect: 'Deny', arguments: [] };
        const engine = engineOf({
          ...input,
          policies: policies.map((each, number) => (number === at % policies.length ? { ...each, rules: [...each.rules, all] } : each)),
        });
        if (policies.length === 0) return;
        for (const each of everyQuestion) {
          expect(engine.decide(requestOf(each)).effect).toBe('deny');
          expect(engine.visible(each.caller, each.object)).toBe(false);
        }
      }),
      runs,
    );
  });

  it('what two tiers allow together, each allows alone', () => {
    fc.assert(
      fc.property(set, (input) => {
        const both = enforcing(input);
        for (const tier of ['platform', 'namespace'] as const) {
          const policies = both.policies.filter((each) => each.tier === tier);
          if (policies.length > 0) allowsNoMore({ ...both, policies }, both);
        }
      }),
      runs,
    );
  });

  it('mode: Audit changes no decision, and records exactly what Enforce would refuse', () => {
    fc.assert(
      fc.property(set, question, (input, each) => {
        const audited = engineOf(input).decide(requestOf(each));
        const without = engineOf({ ...input, policies: input.policies.filter(({ mode }) => mode === 'Enforce') }).decide(requestOf(each));
        expect(withoutShadow(audited)).toEqual(without);
        if (audited.effect === 'deny') return;
        const enforced = engineOf(enforcing(input)).decide(requestOf(each));
        expect(audited.wouldDeny?.code).toBe(enforced.effect === 'deny' ? enforced.code : undefined);
      }),
      { numRuns: 3000 },
    );
  });

  it('an exception anywhere is a refusal', () => {
    fc.assert(
      fc.property(set, question, fc.nat({ max: 40 }), (input, each, countdown) => {
        const fuse = { left: countdown, blown: false };
        const hostile = compile(bundleOf(enforcing(input)), {
          now: () => {
            burn(fuse);
            return now;
          },
        });
        const decision = hostile.decide({
          caller: explosive(each.caller, fuse),
          method: METHODS[each.object.type],
          object: explosive(each.object, fuse),
          arguments: explosive(each.args, fuse),
        });
        if (fuse.blown) expect(decision.effect).toBe('deny');
      }),
      { numRuns: 5000 },
    );
  });

  it('an exception anywhere hides from lists', () => {
    fc.assert(
      fc.property(set, question, fc.nat({ max: 30 }), (input, each, countdown) => {
        const fuse = { left: countdown, blown: false };
        const engine = compile(bundleOf(enforcing(input)), { now: () => now });
        const shown = engine.filter(explosive(each.caller, fuse), [each.object], (object) => explosive(object, fuse));
        if (fuse.blown) expect(shown).toEqual([]);
      }),
      { numRuns: 5000 },
    );
  });
});

function withoutShadow(decision: Decision): Decision {
  if (decision.effect === 'deny') return decision;
  const { wouldDeny: _, ...rest } = decision;
  return rest;
}
