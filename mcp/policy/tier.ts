import { compileTest, doubtOf, type CompiledTest } from './argument.ts';
import type { ToolClass } from '../inventory.ts';
import type { Action, Pinning, Rule, Subject, Tier as TierName, ValidPolicy } from './bundle.ts';
import type { Caller } from './caller.ts';
import { DenyCode, type Origin, type PinState } from './decision.ts';
import { GlobIndex } from './glob.ts';
import { danger, leastTrust, policyName, strictestPinning } from './merge.ts';
import type { ObjectType } from './method.ts';
import { EVERYONE, matchKey, matchSubjects, type SubjectMatch } from './subject.ts';
import { ToolClasses, type ToolClassing, type ToolFacts } from './toolclass.ts';
import { templateAlwaysMatches, templateCanMatch } from './uri.ts';

/** Stands for arguments that are not known, as in a list: their tests are taken as satisfiable. */
export const UNKNOWN: unique symbol = Symbol('unknown arguments');

/** A rule that could not be evaluated. */
export class EvaluationError extends Error {
  readonly origin: Origin;

  constructor(origin: Origin, options: ErrorOptions) {
    super(`rule ${origin.rule} of ${origin.policy} could not be evaluated`, options);
    this.name = 'EvaluationError';
    this.origin = origin;
  }
}

/** One rule of one policy, compiled. */
export interface TierRule {
  readonly origin: Origin;
  readonly effect: Action;
  /** Position of its subjects among the distinct ones of the tier; absent: everyone. */
  readonly subjects: number | undefined;
  readonly tests: readonly CompiledTest[];
  readonly notAfter: number;
  readonly rule: Rule;
}

/** What one tier says to a request. */
export type Verdict =
  | { readonly effect: 'allow'; readonly origin: Origin }
  | {
      readonly effect: 'deny';
      readonly code: DenyCode;
      readonly origin: Origin;
      readonly message?: string;
      readonly maximumClass?: ToolClass;
      readonly scopes?: readonly string[];
    };

/** The rules that concern one caller and one object, by what they still need to know. */
interface Plan {
  readonly denies?: TierRule;
  readonly deniesByArguments: readonly TierRule[];
  readonly allows?: TierRule;
  readonly allowsByArguments: readonly TierRule[];
  /** Allow rules for which only scopes are missing. */
  readonly allowsByScope: readonly { readonly rule: TierRule; readonly scopes: readonly string[] }[];
  /** Last instant at which this plan holds: the next expiry among its rules. */
  readonly validUntil: number;
}

/** All callers that stand alike to every rule share one view, and so its plans. */
interface View {
  readonly matches: readonly SubjectMatch[];
  readonly plans: Map<string, Plan>;
}

/** The tool in question, already classed in this tier. */
export interface ClassedTool {
  readonly classing: ToolClassing;
  readonly pin: PinState;
}

/** Bounds of what is kept, so that callers who send ever new URIs cost no more than about 10 MiB. Beyond them everything is forgotten and made anew. */
const MAX_PLANS = 32_768;
const MAX_MATCHES = 4096;
const MAX_VIEWS = 256;
/** Longer names are decided without being kept. UTF-16 units. */
const MAX_KEPT_NAME = 256;

/**
 * The policies of one tier, merged. Guarantees: the order of policies and rules does not matter; a Deny rule wins over everything, the maximum class over
 * every Allow rule. Throws where something cannot be evaluated; the engine makes a refusal of it.
 */
export class Tier {
  readonly name: TierName | 'ambient';
  /** True when some rule tells resources apart by URI, so that URIs must be in normal form. */
  readonly readsUris: boolean;
  readonly maximumClass: ToolClass;
  readonly rules: readonly TierRule[];
  readonly pinning: Pinning;
  readonly defaultAction: Action;
  /** By name; for `explain`. */
  readonly policies: readonly ValidPolicy[];

  readonly #classes: ToolClasses;
  readonly #classings = new WeakMap<ToolFacts, Map<string, ToolClassing>>();
  readonly #ceiling: Origin;
  readonly #blocker: Origin;
  readonly #fallback: Origin;
  readonly #subjects: readonly (readonly Subject[])[];
  #byCaller = new WeakMap<Caller, View>();
  readonly #views = new Map<string, View>();
  #plans = 0;
  readonly #matches = new Map<string, readonly number[]>();
  readonly #index = { tool: new GlobIndex('name'), prompt: new GlobIndex('name'), resource: new GlobIndex('path') };

  /** Throws when a pattern cannot be compiled. */
  constructor(name: TierName | 'ambient', policies: readonly ValidPolicy[]) {
    // Sorted so that the rule which is named among several that decide alike does not depend on their order either.
    const sorted = policies.toSorted((a, b) => compareText(policyName(a), policyName(b)));
    this.name = name;
    this.policies = sorted;
    this.maximumClass = sorted.reduce<ToolClass>(
      (least, { access }) => (danger(access.maximumClass) < danger(least) ? access.maximumClass : least),
      'Destructive',
    );
    this.defaultAction = sorted.some((policy) => policy.defaultAction === 'Deny') ? 'Deny' : 'Allow';
    this.pinning = strictestPinning(sorted);
    this.#ceiling = this.#originOf(sorted.find((policy) => policy.access.maximumClass === this.maximumClass));
    this.#fallback = this.#originOf(sorted.find((policy) => policy.defaultAction === this.defaultAction));
    this.#blocker = this.#originOf(sorted.find((policy) => policy.pinning === 'Block'));
    this.#classes = new ToolClasses(
      leastTrust(sorted),
      sorted.flatMap((policy) => policy.access.overrides),
    );
    const subjects = new Map<string, number>();
    this.rules = sorted.flatMap((policy) =>
      policy.rules
        .toSorted((a, b) => compareText(a.name, b.name))
        .map((rule) => compileRule(rule, { ...this.#originOf(policy), rule: rule.name }, subjects)),
    );
    this.#subjects = [...subjects.keys()].map((key) => JSON.parse(key) as readonly Subject[]);
    this.rules.forEach(({ rule }, number) => this.#file(rule, number));
    this.readsUris = this.rules.some(({ rule }) => rule.resources?.some((glob) => !/^\*{2,}$/u.test(glob)) ?? false);
  }

  #originOf(policy: ValidPolicy | undefined): Origin {
    if (this.name === 'ambient' || policy === undefined) return { tier: this.name };
    return { policy: policyName(policy), generation: policy.generation, tier: this.name };
  }

  #file(rule: Rule, number: number): void {
    const everything = rule.tools === undefined && rule.resources === undefined && rule.prompts === undefined;
    for (const glob of rule.tools ?? (everything ? ['*'] : [])) this.#index.tool.add(glob, number);
    for (const glob of rule.prompts ?? (everything ? ['*'] : [])) this.#index.prompt.add(glob, number);
    for (const glob of rule.resources ?? (everything ? ['**'] : [])) this.#index.resource.add(glob, number);
  }

  classing(name: string, facts: ToolFacts, pin: PinState): ToolClassing {
    let byName = this.#classings.get(facts);
    if (byName === undefined) this.#classings.set(facts, (byName = new Map()));
    let classing = byName.get(name);
    if (classing === undefined) byName.set(name, (classing = this.#classes.classing(name, facts, pin)));
    return classing;
  }

  /** The steps of a decision within a tier, in the order of guard.md; the first that speaks decides. */
  judge(caller: Caller, type: ObjectType, name: string, tool: ClassedTool | undefined, args: unknown, now: number): Verdict {
    const plan = this.#plan(caller, type, name, now);
    const denying = plan.denies ?? firstHolding(plan.deniesByArguments, args, false);
    if (denying !== undefined) {
      return refuse(denying === plan.denies ? DenyCode.PolicyRule : DenyCode.Argument, denying.origin, denying.rule.message);
    }
    if (tool !== undefined) {
      if (danger(classOf(tool.classing, args)) > danger(this.maximumClass)) {
        return { ...refuse(DenyCode.Class, this.#ceiling), maximumClass: this.maximumClass };
      }
      if (tool.pin === 'changed' && this.pinning === 'Block') return refuse(DenyCode.ToolChanged, this.#blocker);
    }
    const allowing = plan.allows ?? firstHolding(plan.allowsByArguments, args, true);
    if (allowing !== undefined) return { effect: 'allow', origin: allowing.origin };
    if (this.defaultAction === 'Allow') return { effect: 'allow', origin: this.#fallback };
    const byScope = plan.allowsByScope.find(({ rule }) => firstHolding([rule], args, true) !== undefined);
    if (byScope !== undefined) return { ...refuse(DenyCode.Scope, byScope.rule.origin), scopes: byScope.scopes };
    const almost = plan.allowsByArguments[0] ?? plan.allowsByScope[0]?.rule;
    return almost === undefined
      ? refuse(DenyCode.NotAllowed, this.#fallback)
      : refuse(DenyCode.Argument, almost.origin, almost.rule.message);
  }

  /** Plans and matches in memory. */
  get kept(): number {
    return this.#plans + this.#matches.size;
  }

  /** How the caller stands to a rule's subjects. */
  subjectMatch(rule: TierRule, caller: Caller): SubjectMatch {
    return rule.subjects === undefined ? EVERYONE : (this.#view(caller).matches[rule.subjects] ?? { allows: false, denies: true });
  }

  /** Numbers of the rules whose patterns match the object. */
  rulesFor(type: ObjectType, name: string): readonly number[] {
    const key = `${type} ${name}`;
    let numbers = this.#matches.get(key);
    if (numbers === undefined) {
      numbers = type === 'resourceTemplate' ? this.#rulesForTemplate(name) : this.#index[type].match(name);
      if (this.#matches.size >= MAX_MATCHES) this.#matches.clear();
      if (name.length <= MAX_KEPT_NAME) this.#matches.set(key, numbers);
    }
    return numbers;
  }

  /** A template is allowed if some of its URIs can be, and denied only if all of them are. */
  #rulesForTemplate(template: string): readonly number[] {
    return this.rules.flatMap(({ effect, rule }, number) => {
      const globs = rule.resources ?? (rule.tools === undefined && rule.prompts === undefined ? ['**'] : []);
      const matches = globs.some((glob) => (effect === 'Allow' ? templateCanMatch(glob, template) : templateAlwaysMatches(glob, template)));
      return matches ? [number] : [];
    });
  }

  #plan(caller: Caller, type: ObjectType, name: string, now: number): Plan {
    const view = this.#view(caller);
    const key = `${type} ${name}`;
    const known = view.plans.get(key);
    if (known !== undefined && now <= known.validUntil) return known;
    const plan = this.#newPlan(caller, type, name, now);
    if (name.length <= MAX_KEPT_NAME) this.#keep(view, key, plan);
    return plan;
  }

  #keep(view: View, key: string, plan: Plan): void {
    if (this.#plans >= MAX_PLANS) this.#forget();
    if (!view.plans.has(key)) this.#plans += 1;
    view.plans.set(key, plan);
  }

  #forget(): void {
    for (const view of this.#views.values()) view.plans.clear();
    this.#views.clear();
    this.#byCaller = new WeakMap();
    this.#plans = 0;
  }

  #newPlan(caller: Caller, type: ObjectType, name: string, now: number): Plan {
    const deny: TierRule[] = [];
    const allow: TierRule[] = [];
    const allowsByScope: { rule: TierRule; scopes: readonly string[] }[] = [];
    let validUntil = Number.POSITIVE_INFINITY;
    for (const number of this.rulesFor(type, name)) {
      const rule = this.rules[number];
      if (rule === undefined || now > rule.notAfter) continue;
      validUntil = Math.min(validUntil, rule.notAfter);
      const match = this.subjectMatch(rule, caller);
      if (rule.effect === 'Deny') {
        if (match.denies) deny.push(rule);
      } else if (match.allows) allow.push(rule);
      else if (match.neededScopes !== undefined) allowsByScope.push({ rule, scopes: match.neededScopes });
    }
    const denies = deny.find(isFree);
    const allows = allow.find(isFree);
    return {
      ...(denies === undefined ? {} : { denies }),
      deniesByArguments: withTests(deny),
      ...(allows === undefined ? {} : { allows }),
      allowsByArguments: withTests(allow),
      allowsByScope: allowsByScope.length === 0 ? NONE : allowsByScope,
      validUntil,
    };
  }

  #view(caller: Caller): View {
    let view = this.#byCaller.get(caller);
    if (view === undefined) {
      const matches = this.#subjects.map((subjects) => matchSubjects(subjects, caller));
      const signature = matches.map(matchKey).join('');
      view = this.#views.get(signature) ?? { matches, plans: new Map() };
      if (this.#views.size >= MAX_VIEWS && !this.#views.has(signature)) this.#forget();
      this.#views.set(signature, view);
      this.#byCaller.set(caller, view);
    }
    return view;
  }
}

const isFree = (rule: TierRule): boolean => rule.tests.length === 0;

/** One empty list for the many plans that need it. */
const NONE: readonly never[] = [];

function withTests(rules: readonly TierRule[]): readonly TierRule[] {
  return rules.every(isFree) ? NONE : rules.filter((rule) => !isFree(rule));
}

/** The first rule whose tests all hold; arguments that are not known hold as `unknownHolds` says. */
function firstHolding(rules: readonly TierRule[], args: unknown, unknownHolds: boolean): TierRule | undefined {
  if (args === UNKNOWN) return unknownHolds ? rules[0] : undefined;
  return rules.find((rule) => {
    try {
      return rule.tests.every((holds) => holds(args));
    } catch (cause) {
      throw new EvaluationError(rule.origin, { cause });
    }
  });
}

/** The class of a call, or for unknown arguments the least that a call could have. */
export function classOf(classing: ToolClassing, args: unknown): ToolClass {
  return args === UNKNOWN ? classing.least : (classing.byArguments?.(args) ?? classing.least);
}

function refuse(code: DenyCode, origin: Origin, message?: string): Extract<Verdict, { effect: 'deny' }> {
  return { effect: 'deny', code, origin, ...(message === undefined ? {} : { message }) };
}

function compileRule(rule: Rule, origin: Origin, subjects: Map<string, number>): TierRule {
  const tests = rule.arguments.map((test) => compileTest(test, doubtOf(rule.effect)));
  return {
    origin,
    effect: rule.effect,
    subjects: rule.subjects === undefined ? undefined : numberOf(subjects, JSON.stringify(rule.subjects)),
    tests,
    notAfter: rule.notAfter ?? Number.POSITIVE_INFINITY,
    rule,
  };
}

function numberOf(numbers: Map<string, number>, key: string): number {
  let number = numbers.get(key);
  if (number === undefined) numbers.set(key, (number = numbers.size));
  return number;
}

/** By code unit, so that every machine sorts alike. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
