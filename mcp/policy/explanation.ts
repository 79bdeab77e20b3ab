import type { ToolClass } from '../inventory.ts';
import type { ArgumentTest, Pinning, Trust, ValidPolicy } from './bundle.ts';
import type { Caller } from './caller.ts';
import type { ClassSource, Decision, PinState, Origin } from './decision.ts';
import type { Engine, PolicyObject, PolicyRequest } from './engine.ts';
import { globMatcher } from './glob.ts';
import { danger, leastTrust, policyName } from './merge.ts';
import { clientMethod } from './method.ts';
import { classOf, type Tier, type TierRule, UNKNOWN } from './tier.ts';

/** A decision with the way it came about: the same engine, the same compiled rules. */
export interface Explanation {
  /** For the given arguments; where none are given, for a call without arguments. */
  readonly decision: Decision;
  /** What holds whatever the arguments are, or for the given ones. */
  readonly answer: Answer;
  /** Whether lists show the object to the caller; absent where the method has none. */
  readonly listed?: boolean;
  readonly tiers: readonly TierExplanation[];
}

/** `depends`: no arguments are given, and some are allowed and others not. */
export type Answer = 'allowed' | 'refused' | 'depends';

export interface TierExplanation {
  readonly tier: Tier['name'];
  readonly maximumClass: ToolClass;
  readonly defaultAction: 'Allow' | 'Deny';
  readonly trustAnnotations: Trust;
  readonly pinning: Pinning;
  /** The policies, `namespace/name`, that set these; of several that set the same the first by name. Absent in the ambient tier. */
  readonly setBy?: { readonly maximumClass?: string; readonly defaultAction?: string; readonly pinning?: string };
  /** Of tools that the server has. */
  readonly tool?: ToolExplanation;
  readonly rules: readonly RuleExplanation[];
}

export interface ToolExplanation {
  /** With arguments that are not known the least dangerous that it can be. */
  readonly class: ToolClass;
  /** Given where the class depends on arguments that are not known: the most dangerous that it can be. */
  readonly upTo?: ToolClass;
  readonly source: ClassSource;
  readonly pin: PinState;
  /** The overrides that are about it. */
  readonly overrides: readonly OverrideExplanation[];
}

export interface OverrideExplanation {
  readonly policy: string;
  readonly class: ToolClass;
  /** `ReadOnly if /scale Absent`. */
  readonly unless: readonly string[];
}

export interface RuleExplanation extends Origin {
  readonly effect: 'Allow' | 'Deny';
  readonly outcome: RuleOutcome;
  /** With outcome `arguments` or `error`: the first test that decided against the rule. */
  readonly test?: string;
  /** With outcome `depends`: all of them. */
  readonly tests?: readonly string[];
  /** True for the rule that the decision names; not where the answer depends on arguments that are not known. */
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
  /** It tests arguments, and none are given. */
  | 'depends'
  /** A test could not be evaluated. */
  | 'error';

/** Arguments that are left out are not known; a call without arguments has `{}`. */
export function explain(engine: Engine, request: PolicyRequest, now: number): Explanation {
  const decision = engine.decide(request);
  const { object, caller, method } = request;
  if (object === undefined) return { decision, answer: answerOf(decision), tiers: [] };
  const rule = clientMethod(method);
  const unknown = request.arguments === undefined && rule?.kind === 'object' && rule.arguments;
  const args = unknown ? UNKNOWN : (request.arguments ?? {});
  const answer = unknown ? range(engine, request, object, decision, now) : answerOf(decision);
  const decider = answer === 'depends' ? undefined : decision;
  return {
    decision,
    answer,
    listed: engine.visible(caller, object),
    tiers: engine.tiers.map((tier) => explainTier(engine, tier, caller, object, args, decider, now)),
  };
}

const answerOf = ({ effect }: Decision): Answer => (effect === 'allow' ? 'allowed' : 'refused');

/** What a call may be answered over all arguments. */
function range(engine: Engine, { caller }: PolicyRequest, object: PolicyObject, decision: Decision, now: number): Answer {
  const { tiers } = engine;
  // Refused before any tier is asked: nothing about arguments.
  if (tiers.length === 0 || (decision.effect === 'deny' && decision.tier === undefined)) return answerOf(decision);
  const some = tiers.every(
    (tier) => tier.judge(caller, object.type, object.name, engine.classed(tier, object), UNKNOWN, now).effect === 'allow',
  );
  if (!some) return 'refused';
  return tiers.every((tier) => allowsAll(engine, tier, caller, object, now)) ? 'allowed' : 'depends';
}

/** Whether a tier lets the object pass with the most unfavourable arguments. */
function allowsAll(engine: Engine, tier: Tier, caller: Caller, object: PolicyObject, now: number): boolean {
  const rules = tier.rulesFor(object.type, object.name).flatMap((number) => tier.rules[number] ?? []);
  const holding = rules.filter((rule) => now <= rule.notAfter && stands(tier, rule, caller));
  if (holding.some(({ effect }) => effect === 'Deny')) return false;
  const tool = engine.classed(tier, object);
  if (tool !== undefined && danger(tool.classing.most) > danger(tier.maximumClass)) return false;
  return tier.defaultAction === 'Allow' || holding.some(({ tests }) => tests.length === 0);
}

/** Whether the rule is about the caller. */
function stands(tier: Tier, rule: TierRule, caller: Caller): boolean {
  const { allows, denies } = tier.subjectMatch(rule, caller);
  return rule.effect === 'Deny' ? denies : allows;
}

function explainTier(
  engine: Engine,
  tier: Tier,
  caller: Caller,
  object: PolicyObject,
  args: unknown,
  decision: Decision | undefined,
  now: number,
): TierExplanation {
  const { maximumClass, defaultAction, pinning, policies } = tier;
  const matching = new Set(tier.rulesFor(object.type, object.name));
  return {
    tier: tier.name,
    maximumClass,
    defaultAction,
    trustAnnotations: leastTrust(policies),
    pinning,
    ...(tier.name === 'ambient'
      ? {}
      : {
          setBy: {
            ...named('maximumClass', policies, ({ access }) => access.maximumClass === maximumClass),
            ...named('defaultAction', policies, (policy) => policy.defaultAction === defaultAction),
            ...named('pinning', policies, (policy) => policy.pinning === pinning),
          },
        }),
    ...explainTool(engine, tier, object, args),
    rules: tier.rules.map((rule, number) => ({
      ...rule.origin,
      effect: rule.effect,
      ...outcomeOf(tier, rule, matching.has(number), caller, args, now),
      decides: decision?.policy !== undefined && decision.policy === rule.origin.policy && decision.rule === rule.origin.rule,
    })),
  };
}

function named(member: string, policies: readonly ValidPolicy[], sets: (policy: ValidPolicy) => boolean): Record<string, string> {
  const found = policies.find(sets);
  return found === undefined ? {} : { [member]: policyName(found) };
}

function explainTool(engine: Engine, tier: Tier, object: PolicyObject, args: unknown): { readonly tool?: ToolExplanation } {
  const tool = engine.classed(tier, object);
  if (tool === undefined) return {};
  const { classing, pin } = tool;
  return {
    tool: {
      class: classOf(classing, args),
      ...(args === UNKNOWN && classing.most !== classing.least ? { upTo: classing.most } : {}),
      source: classing.source,
      pin,
      overrides: tier.policies.flatMap((policy) =>
        policy.access.overrides
          .filter(({ tools }) => tools.some((glob) => globMatcher(glob, 'name')(object.name)))
          .map((override) => ({
            policy: policyName(policy),
            class: override.class,
            unless: override.unless.map((exception) => `${exception.class} if ${testWords(exception)}`),
          })),
      ),
    },
  };
}

function outcomeOf(
  tier: Tier,
  rule: TierRule,
  aboutObject: boolean,
  caller: Caller,
  args: unknown,
  now: number,
): Pick<RuleExplanation, 'outcome' | 'test' | 'tests'> {
  if (!aboutObject) return { outcome: 'object' };
  if (now > rule.notAfter) return { outcome: 'expired' };
  if (!stands(tier, rule, caller)) {
    return { outcome: tier.subjectMatch(rule, caller).neededScopes === undefined ? 'subject' : 'scope' };
  }
  const tests = rule.rule.arguments;
  if (args === UNKNOWN && tests.length > 0) return { outcome: 'depends', tests: tests.map(testWords) };
  for (const [at, holds] of rule.tests.entries()) {
    const test = tests[at];
    if (test === undefined) continue;
    try {
      if (!holds(args)) return { outcome: 'arguments', test: testWords(test) };
    } catch {
      return { outcome: 'error', test: testWords(test) };
    }
  }
  return { outcome: 'matches' };
}

/** A test as people write it: `/namespace In staging, test`. */
function testWords(test: ArgumentTest): string {
  return [test.path, test.operator, ...operandWords(test)].join(' ');
}

function operandWords(test: ArgumentTest): readonly string[] {
  switch (test.operator) {
    case 'Exists':
    case 'Absent':
      return [];
    case 'Equals':
    case 'NotEquals':
    case 'Prefix':
    case 'Glob':
    case 'Matches':
      return [JSON.stringify(test.value)];
    case 'In':
    case 'NotIn':
    case 'SubsetOf':
      return [test.values.map((value) => JSON.stringify(value)).join(', ')];
    case 'GreaterThan':
      return [String(test.min)];
    case 'LessThan':
    case 'MaxLength':
      return [String(test.max)];
    case 'Between':
      return [`${test.min} and ${test.max}`];
  }
}
