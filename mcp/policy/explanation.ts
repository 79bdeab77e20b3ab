import type { Caller } from './caller.ts';
import type { ClassSource, Decision, PinState, Origin } from './decision.ts';
import type { ToolClass } from '../inventory.ts';
import type { Engine, PolicyObject, PolicyRequest } from './engine.ts';
import { classOf, type Tier, type TierRule } from './tier.ts';

/** A decision with the way it came about: the same engine, the same compiled rules. */
export interface Explanation {
  readonly decision: Decision;
  readonly tiers: readonly TierExplanation[];
}

export interface TierExplanation {
  readonly tier: Tier['name'];
  readonly maximumClass: ToolClass;
  readonly defaultAction: 'Allow' | 'Deny';
  /** Of tools that the server has. */
  readonly tool?: { readonly class: ToolClass; readonly source: ClassSource; readonly pin: PinState };
  readonly rules: readonly RuleExplanation[];
}

export interface RuleExplanation extends Origin {
  readonly effect: 'Allow' | 'Deny';
  readonly outcome: RuleOutcome;
  /** With outcome `arguments`: the first test that decided against the rule. */
  readonly test?: string;
  /** True for the rule that the decision names. */
  readonly decides: boolean;
}

/** Whether the rule matches; if not, the first thing that is in the way. */
export type RuleOutcome =
  | 'matches'
  /** It is about other tools, prompts or resources. */
  | 'object'
  | 'expired'
  /** It is about other callers. */
  | 'subject'
  /** Only scopes of the token are missing. */
  | 'scope'
  | 'arguments'
  /** A test could not be evaluated. */
  | 'error';

export function explain(engine: Engine, request: PolicyRequest, now: number): Explanation {
  const decision = engine.decide(request);
  const { object } = request;
  return {
    decision,
    tiers: object === undefined ? [] : engine.tiers.map((tier) => explainTier(engine, tier, request, object, decision, now)),
  };
}

function explainTier(
  engine: Engine,
  tier: Tier,
  request: PolicyRequest,
  object: PolicyObject,
  decision: Decision,
  now: number,
): TierExplanation {
  const { maximumClass, defaultAction } = tier;
  const tool = engine.classed(tier, object);
  const args = request.arguments ?? {};
  const matching = new Set(tier.rulesFor(object.type, object.name));
  return {
    tier: tier.name,
    maximumClass,
    defaultAction,
    ...(tool === undefined ? {} : { tool: { class: classOf(tool.classing, args), source: tool.classing.source, pin: tool.pin } }),
    rules: tier.rules.map((rule, number) => ({
      ...rule.origin,
      effect: rule.effect,
      ...outcomeOf(tier, rule, matching.has(number), request.caller, args, now),
      decides: decision.policy !== undefined && decision.policy === rule.origin.policy && decision.rule === rule.origin.rule,
    })),
  };
}

function outcomeOf(
  tier: Tier,
  rule: TierRule,
  aboutObject: boolean,
  caller: Caller,
  args: unknown,
  now: number,
): { readonly outcome: RuleOutcome; readonly test?: string } {
  if (!aboutObject) return { outcome: 'object' };
  if (now > rule.notAfter) return { outcome: 'expired' };
  const match = tier.subjectMatch(rule, caller);
  if (!(rule.effect === 'Deny' ? match.denies : match.allows)) return { outcome: match.neededScopes === undefined ? 'subject' : 'scope' };
  for (const [at, holds] of rule.tests.entries()) {
    const { path, operator } = rule.rule.arguments[at] ?? {};
    const test = `${path} ${operator}`;
    try {
      if (!holds(args)) return { outcome: 'arguments', test };
    } catch {
      return { outcome: 'error', test };
    }
  }
  return { outcome: 'matches' };
}
