import type { ToolClass } from '../inventory.ts';
import type { Action, Audit, Concurrency, Methods, Pinning, RateLimit, Trust, ValidPolicy } from './bundle.ts';

/** From harmless to dangerous; a missing or unknown class compares as the most dangerous. */
const CLASSES: readonly ToolClass[] = ['ReadOnly', 'NonDestructive', 'Destructive'];
const TRUST: readonly Trust[] = ['Never', 'Pinned', 'Always'];
const PINNING: readonly Pinning[] = ['Block', 'Warn', 'Off'];
const LEVELS = ['Arguments', 'Metadata', 'None'] as const;

export function danger(toolClass: ToolClass): number {
  const rank = CLASSES.indexOf(toolClass);
  if (rank < 0) throw new TypeError('a tool class that this version does not know');
  return rank;
}

export const moreDangerous = (a: ToolClass, b: ToolClass): ToolClass => (danger(a) >= danger(b) ? a : b);
export const lessDangerous = (a: ToolClass, b: ToolClass): ToolClass => (danger(a) <= danger(b) ? a : b);

/** The strictest of the values, by an order that begins with it; `otherwise` where there is none. */
function strictest<Value>(order: readonly Value[], values: readonly Value[], otherwise: Value): Value {
  return order.find((candidate) => values.includes(candidate)) ?? otherwise;
}

export const leastTrust = (policies: readonly ValidPolicy[]): Trust =>
  strictest(
    TRUST,
    policies.map((policy) => policy.access.trustAnnotations),
    'Pinned',
  );

export const strictestPinning = (policies: readonly ValidPolicy[]): Pinning =>
  strictest(
    PINNING,
    policies.map((policy) => policy.pinning),
    'Warn',
  );

const ACTIONS: readonly Action[] = ['Deny', 'Allow'];

/** Every switch is Deny if any policy says so. */
export function mergeMethods(policies: readonly ValidPolicy[]): Methods {
  const action = (of: (methods: Methods) => Action): Action =>
    strictest(
      ACTIONS,
      policies.map((policy) => of(policy.methods)),
      'Allow',
    );
  return {
    completion: action((methods) => methods.completion),
    logging: action((methods) => methods.logging),
    subscriptions: action((methods) => methods.subscriptions),
    tasks: policies.some((policy) => policy.methods.tasks === 'Deny') ? 'Deny' : 'BoundToCaller',
    unknown: action((methods) => methods.unknown),
    serverRequests: {
      elicitation: action((methods) => methods.serverRequests.elicitation),
      sampling: action((methods) => methods.serverRequests.sampling),
      roots: action((methods) => methods.serverRequests.roots),
    },
  };
}

/** The most thorough level, everything redacted that any policy redacts, Block if any. Without a policy: metadata, never in the way. */
export function mergeAudit(policies: readonly ValidPolicy[]): Audit {
  return {
    level: strictest(
      LEVELS,
      policies.map((policy) => policy.audit.level),
      'Metadata',
    ),
    redact: [...new Set(policies.flatMap((policy) => policy.audit.redact))].toSorted(),
    onFailure: policies.some((policy) => policy.audit.onFailure === 'Block') ? 'Block' : 'Drop',
  };
}

/** All rate limits with the policy that each comes from. */
export interface OwnedRate extends RateLimit {
  readonly policy: string;
  readonly generation: number;
}

export const policyName = (policy: { readonly namespace: string; readonly name: string }): string => `${policy.namespace}/${policy.name}`;

export function allRates(policies: readonly ValidPolicy[]): readonly OwnedRate[] {
  return policies.flatMap((policy) =>
    policy.limits.rate.map((rate) => ({ ...rate, policy: policyName(policy), generation: policy.generation })),
  );
}

/** The smallest of the given numbers; absent when none is given. */
export function smallest(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

export function mergeConcurrency(policies: readonly ValidPolicy[]): Concurrency {
  const limit = (of: (concurrency: Concurrency) => number | undefined) => smallest(policies.map((policy) => of(policy.limits.concurrency)));
  const perCaller = limit((concurrency) => concurrency.perCaller);
  const total = limit((concurrency) => concurrency.total);
  const streamsPerCaller = limit((concurrency) => concurrency.streamsPerCaller);
  return {
    ...(perCaller === undefined ? {} : { perCaller }),
    ...(total === undefined ? {} : { total }),
    ...(streamsPerCaller === undefined ? {} : { streamsPerCaller }),
  };
}
