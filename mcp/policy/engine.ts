import { type Ambient, type Bundle, type Concurrency, isValid, type Methods, type ValidPolicy } from './bundle.ts';
import type { Caller } from './caller.ts';
import {
  type Answer,
  type Decision,
  denyMessage,
  type Denied,
  DenyCode,
  type ObjectFacts,
  type Origin,
  type Reason,
  type Settings,
} from './decision.ts';
import { allRates, mergeAudit, mergeConcurrency, mergeMethods, moreDangerous, type OwnedRate, policyName, smallest } from './merge.ts';
import { clientMethod, gateOpen, type ObjectType, serverRequestAllowed } from './method.ts';
import { classOf, type ClassedTool, EvaluationError, Tier, UNKNOWN, type Verdict } from './tier.ts';
import { pinSets, pinState, type ToolFacts } from './toolclass.ts';
import { isNormalUri } from './uri.ts';

/** What a request is about. */
export type PolicyObject =
  /** `facts` from the inventory, or from what this caller's own list returned; absent: the server has no such tool. One object per entry: it is a cache key. */
  | { readonly type: 'tool'; readonly name: string; readonly facts?: ToolFacts }
  /** `name` is a prompt's name, a URI or a URI template. */
  | { readonly type: Exclude<ObjectType, 'tool'>; readonly name: string; readonly known: boolean };

export interface PolicyRequest {
  /** One object per session or verified token: it is a cache key. */
  readonly caller: Caller;
  /** As on the wire. */
  readonly method: string;
  /** Where the method has one. `subscriptions/listen` has none; each of its URIs is a `resources/subscribe`. */
  readonly object?: PolicyObject;
  /** The parsed arguments of a call; absent counts as none given. */
  readonly arguments?: unknown;
}

/** Limits with their owners; those of policies in `mode: Audit` apart. */
export interface EngineLimits {
  readonly rates: readonly OwnedRate[];
  readonly concurrency: Concurrency;
  readonly shadow: { readonly rates: readonly OwnedRate[]; readonly concurrency: Concurrency };
}

export interface EngineOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The policies that decide together, merged per tier; both tiers must allow. */
interface Regime {
  readonly tiers: readonly Tier[];
  readonly methods: Methods;
  /** Where nothing can be allowed, the reason why. */
  readonly blocked?: Reason;
}

/** Throws when a pattern of the bundle is not valid; `parseBundle` has checked them all. */
export function compile(bundle: Bundle, options: EngineOptions): Engine {
  return new Engine(bundle, options);
}

/**
 * Decides for one server what each caller may use. Guarantees: one function serves lists and calls; whatever goes wrong inside is a refusal
 * (`POLICY_ERROR`); no method throws. Memory is bounded whatever callers send.
 */
export class Engine {
  readonly settings: Settings;
  readonly limits: EngineLimits;

  readonly #enforced: Regime;
  /** As if the policies in `mode: Audit` were enforced too; absent without such. */
  readonly #shadow: Regime | undefined;
  readonly #pins: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  readonly #now: () => number;
  readonly #expiries: readonly number[];

  constructor(bundle: Bundle, { now }: EngineOptions) {
    const valid = bundle.policy.policies.filter(isValid);
    const enforced = valid.filter((policy) => policy.mode === 'Enforce');
    const audited = valid.filter((policy) => policy.mode === 'Audit');
    this.#now = now;
    this.#pins = pinSets(bundle.pins);
    this.#enforced = regime(bundle, enforced);
    this.#shadow = audited.length === 0 ? undefined : regime(bundle, valid);
    this.#expiries = valid
      .flatMap((policy) => policy.rules.map((rule) => rule.notAfter))
      .filter((instant) => instant !== undefined)
      .toSorted((a, b) => a - b);
    this.settings = settings(enforced, this.#enforced);
    this.limits = {
      rates: allRates(enforced),
      concurrency: mergeConcurrency(enforced),
      shadow: { rates: allRates(audited), concurrency: mergeConcurrency(audited) },
    };
  }

  /** Whether the caller may do this. */
  decide(request: PolicyRequest): Decision {
    try {
      const now = this.#instant();
      const decision = this.#decide(this.#enforced, request, now);
      if (decision.effect === 'deny' || this.#shadow === undefined) return decision;
      return withShadow(decision, this.#decideShadow(this.#shadow, request, now));
    } catch (error) {
      return this.#failure(request, error);
    }
  }

  /** Whether lists show the object to the caller: whether some arguments would be allowed, or scopes are all that is missing. */
  visible(caller: Caller, object: PolicyObject): boolean {
    try {
      return this.#visible(this.#enforced, caller, object, this.#instant());
    } catch {
      return false;
    }
  }

  /** The items that the caller may see, in their order. */
  filter<Item>(caller: Caller, items: readonly Item[], objectOf: (item: Item) => PolicyObject): Item[] {
    return items.filter((item) => {
      try {
        return this.visible(caller, objectOf(item));
      } catch {
        return false;
      }
    });
  }

  /** Whether the server may ask its client for this. */
  serverRequest(method: string): Decision {
    const { blocked, methods } = this.#enforced;
    if (blocked === undefined && serverRequestAllowed(methods, method)) return { effect: 'allow', code: 'ALLOWED' };
    return { effect: 'deny', answer: 'Refused', visible: true, ...(blocked ?? reason(DenyCode.ServerRequest, {}, { method })) };
  }

  /** The next instant at which a rule expires and lists may change; milliseconds since 1970. */
  nextExpiry(): number | undefined {
    const now = this.#now();
    return this.#expiries.find((instant) => instant >= now);
  }

  /** The tiers that decide, platform first; for `explain`. */
  get tiers(): readonly Tier[] {
    return this.#enforced.tiers;
  }

  /** The class and pin of a tool in one tier; for `explain`. */
  classed(tier: Tier, object: PolicyObject): ClassedTool | undefined {
    return object.type === 'tool' && object.facts !== undefined ? this.#classed(tier, object.name, object.facts) : undefined;
  }

  /** A clock that tells no time could make a Deny rule look expired. */
  #instant(): number {
    const now = this.#now();
    if (!Number.isFinite(now)) throw new RangeError('the clock tells no time');
    return now;
  }

  /** Method table, then the object, then the tiers: guard.md, "Decision". */
  #decide(regime: Regime, request: PolicyRequest, now: number): Decision {
    const { caller, method, object } = request;
    const rule = clientMethod(method);
    if (rule?.kind === 'base' || rule?.kind === 'list') return { effect: 'allow', code: 'ALLOWED' };
    if (rule?.kind !== 'object') {
      const open = rule === undefined ? regime.methods.unknown === 'Allow' : gateOpen(regime.methods, rule.gate);
      if (regime.blocked === undefined && open) return { effect: 'allow', code: 'ALLOWED' };
      return { effect: 'deny', answer: 'Method', visible: true, ...(regime.blocked ?? reason(DenyCode.Method, {}, { method })) };
    }
    if (object === undefined || !rule.types.includes(object.type)) throw new TypeError(`${method} came without its object`);
    if (regime.blocked !== undefined) return { effect: 'deny', answer: 'Refused', visible: false, ...regime.blocked };
    if (rule.gate !== undefined && !gateOpen(regime.methods, rule.gate)) {
      return { effect: 'deny', answer: 'Method', visible: true, ...reason(DenyCode.Method, {}, { method }) };
    }
    if (!this.#uriIsSafe(regime, object)) return { effect: 'deny', answer: 'Refused', visible: false, ...reason(DenyCode.UriNotNormal) };
    if (!isKnown(object)) return { effect: 'deny', answer: 'NotFound', visible: false, ...reason(DenyCode.NotFound) };
    const args = rule.arguments ? (request.arguments ?? {}) : UNKNOWN;
    const facts = this.#facts(regime, object, args);
    const verdict = this.#judge(regime, caller, object, args, now);
    if (verdict.effect === 'allow') return { effect: 'allow', code: 'ALLOWED', ...verdict.origin, ...facts };
    return { ...this.#refusal(regime, verdict, caller, object, facts, now), ...facts };
  }

  #refusal(regime: Regime, verdict: Refusal, caller: Caller, object: PolicyObject, facts: ObjectFacts, now: number): Denied {
    const visible = this.#visible(regime, caller, object, now);
    // Who could use a changed tool but for its pin has seen it, and is told why it is gone.
    const shown = visible || (verdict.code === DenyCode.ToolChanged && this.#visible(regime, caller, object, now, true));
    const answer: Answer =
      verdict.code === DenyCode.Scope ? 'Challenge' : shown || this.settings.hiddenAnswer === 'Refused' ? 'Refused' : 'NotFound';
    return {
      effect: 'deny',
      answer,
      visible,
      ...reason(verdict.code, verdict.origin, { message: verdict.message, class: facts.class, maximumClass: verdict.maximumClass }),
      ...(verdict.scopes === undefined ? {} : { scopes: verdict.scopes }),
    };
  }

  /** Both tiers must allow. A missing scope speaks last: a challenge is useless where something else refuses anyway. */
  #judge(regime: Regime, caller: Caller, object: PolicyObject, args: unknown, now: number, ignorePin = false): Verdict {
    let verdict: Verdict = { effect: 'allow', origin: {} };
    let scopes: Refusal | undefined;
    for (const tier of regime.tiers) {
      const tool = this.#toolIn(tier, object, ignorePin);
      verdict = tier.judge(caller, object.type, object.name, tool, args, now);
      if (verdict.effect === 'allow') continue;
      if (verdict.code !== DenyCode.Scope) return verdict;
      scopes = scopes === undefined ? verdict : { ...scopes, scopes: union(scopes.scopes, verdict.scopes) };
    }
    return scopes ?? verdict;
  }

  #visible(regime: Regime, caller: Caller, object: PolicyObject, now: number, ignorePin = false): boolean {
    if (regime.blocked !== undefined || !isKnown(object) || !this.#uriIsSafe(regime, object)) return false;
    const verdict = this.#judge(regime, caller, object, UNKNOWN, now, ignorePin);
    return verdict.effect === 'allow' || verdict.code === DenyCode.Scope;
  }

  #toolIn(tier: Tier, object: PolicyObject, ignorePin: boolean): ClassedTool | undefined {
    if (object.type !== 'tool') return undefined;
    if (object.facts === undefined) throw new TypeError('a tool without facts was to be judged');
    const tool = this.#classed(tier, object.name, object.facts);
    return ignorePin ? { ...tool, pin: 'match' } : tool;
  }

  #classed(tier: Tier, name: string, facts: ToolFacts): ClassedTool {
    const pin = pinState(this.#pins, name, facts);
    return { classing: tier.classing(name, facts, pin), pin };
  }

  /** Of two tiers the more dangerous class; it is what audit's `onFailure: Block` goes by. */
  #facts(regime: Regime, object: PolicyObject, args: unknown): ObjectFacts {
    let facts: ObjectFacts = {};
    for (const tier of regime.tiers) {
      const tool = this.#toolIn(tier, object, false);
      if (tool === undefined) return {};
      const toolClass = classOf(tool.classing, args);
      const wins = facts.class === undefined || (toolClass !== facts.class && moreDangerous(toolClass, facts.class) === toolClass);
      if (wins) facts = { class: toolClass, classSource: tool.classing.source, pin: tool.pin };
    }
    return facts;
  }

  #uriIsSafe(regime: Regime, object: PolicyObject): boolean {
    return object.type !== 'resource' || !regime.tiers.some((tier) => tier.readsUris) || isNormalUri(object.name);
  }

  /** A shadow that fails says so; it never changes the decision. */
  #decideShadow(shadow: Regime, request: PolicyRequest, now: number): Decision {
    try {
      return this.#decide(shadow, request, now);
    } catch (error) {
      return this.#failure(request, error);
    }
  }

  /** An error must not tell a hidden object from one that does not exist either. */
  #failure({ caller, object }: PolicyRequest, error: unknown): Denied {
    const visible = object === undefined || this.visible(caller, object);
    return {
      effect: 'deny',
      answer: visible || this.settings.hiddenAnswer === 'Refused' ? 'Refused' : 'NotFound',
      visible,
      ...reason(DenyCode.PolicyError, error instanceof EvaluationError ? error.origin : {}),
    };
  }
}

type Refusal = Extract<Verdict, { effect: 'deny' }>;

const isKnown = (object: PolicyObject): boolean => (object.type === 'tool' ? object.facts !== undefined : object.known);

function reason(code: DenyCode, origin: Origin = {}, facts: Parameters<typeof denyMessage>[1] = {}): Reason {
  return { ...origin, code, message: denyMessage(code, facts) };
}

function withShadow(decision: Extract<Decision, { effect: 'allow' }>, shadow: Decision): Decision {
  if (shadow.effect === 'allow') return decision;
  const { code, message, policy, rule, generation, tier } = shadow;
  const origin: Origin = {
    ...(policy === undefined ? {} : { policy }),
    ...(rule === undefined ? {} : { rule }),
    ...(generation === undefined ? {} : { generation }),
    ...(tier === undefined ? {} : { tier }),
  };
  return { ...decision, wouldDeny: { code, message, ...origin } };
}

function union(a: readonly string[] = [], b: readonly string[] = []): readonly string[] {
  return [...new Set([...a, ...b])];
}

/** A tier that no policy is in abstains; where both abstain, the ambient posture decides. */
function regime(bundle: Bundle, policies: readonly ValidPolicy[]): Regime {
  const { policy: set } = bundle;
  const invalid = set.policies.find((policy) => !isValid(policy));
  if (invalid !== undefined) {
    const origin = { policy: policyName(invalid), generation: invalid.generation, tier: invalid.tier };
    return { tiers: [], methods: mergeMethods([]), blocked: reason(DenyCode.PolicyError, origin) };
  }
  if (policies.length > 0) {
    const tiers = (['platform', 'namespace'] as const).flatMap((name) => {
      const members = policies.filter((policy) => policy.tier === name);
      return members.length === 0 ? [] : [new Tier(name, members)];
    });
    return { tiers, methods: mergeMethods(policies) };
  }
  if (set.required || set.ambient === 'Deny') {
    return { tiers: [], methods: mergeMethods([]), blocked: reason(DenyCode.PolicyMissing, { tier: 'ambient' }) };
  }
  const posture = AMBIENT[set.ambient];
  return { tiers: [new Tier('ambient', [posture])], methods: posture.methods };
}

/** What holds where no policy selects the server. Everything is known by its class all the same, for the audit record. */
const ambientPolicy = (maximumClass: 'ReadOnly' | 'Destructive', unknown: 'Allow' | 'Deny'): ValidPolicy => ({
  namespace: '',
  name: 'ambient',
  generation: 0,
  tier: 'namespace',
  mode: 'Enforce',
  defaultAction: 'Allow',
  access: { maximumClass, trustAnnotations: 'Pinned', overrides: [] },
  rules: [],
  methods: {
    completion: 'Allow',
    logging: 'Allow',
    subscriptions: 'Allow',
    tasks: 'BoundToCaller',
    unknown,
    serverRequests: { elicitation: 'Allow', sampling: 'Allow', roots: 'Allow' },
  },
  limits: { rate: [], concurrency: {} },
  pinning: 'Warn',
  audit: { level: 'Metadata', redact: [], onFailure: 'Drop' },
  hiddenAnswer: 'NotFound',
});

/** A method that nobody knows may write. */
const AMBIENT: Record<Exclude<Ambient, 'Deny'>, ValidPolicy> = {
  Allow: ambientPolicy('Destructive', 'Allow'),
  ReadOnly: ambientPolicy('ReadOnly', 'Deny'),
};

function settings(policies: readonly ValidPolicy[], { tiers, methods }: Regime): Settings {
  const maxRequestBytes = smallest(policies.map((policy) => policy.limits.maxRequestBytes));
  const maxResponseBytes = smallest(policies.map((policy) => policy.limits.maxResponseBytes));
  const callTimeoutMs = smallest(policies.map((policy) => policy.limits.callTimeoutMs));
  return {
    hiddenAnswer: policies.length > 0 && policies.every((policy) => policy.hiddenAnswer === 'Refused') ? 'Refused' : 'NotFound',
    pinning: (['Block', 'Warn'] as const).find((pinning) => tiers.some((tier) => tier.pinning === pinning)) ?? 'Off',
    tasks: methods.tasks,
    audit: mergeAudit(policies),
    ...(maxRequestBytes === undefined ? {} : { maxRequestBytes }),
    ...(maxResponseBytes === undefined ? {} : { maxResponseBytes }),
    ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }),
  };
}
