import type { Tier } from './bundle.ts';
import { globMatcher } from './glob.ts';

/** `meta/v1.LabelSelector`. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values?: readonly string[];
  }[];
}

/** What of an MCPToolPolicy says which servers it is about. */
export interface SelectingPolicy {
  readonly namespace: string;
  readonly targetRefs?: readonly { readonly name: string }[];
  readonly selector?: LabelSelector;
  readonly namespaces?: { readonly matchNames: readonly string[] };
}

export interface SelectedServer {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * The tier in which a policy holds for a server; `undefined` where it does not select it. `namespaces` makes the platform tier, and only in the
 * operator's namespace: elsewhere it does not reach beyond the policy's own namespace.
 */
export function tierOf(policy: SelectingPolicy, server: SelectedServer, operatorNamespace: string | undefined): Tier | undefined {
  const { namespace, namespaces, targetRefs, selector } = policy;
  const platform = namespaces !== undefined && namespace === operatorNamespace;
  const inScope = platform
    ? namespaces.matchNames.some((glob) => globMatcher(glob, 'name')(server.namespace))
    : server.namespace === namespace;
  if (!inScope) return undefined;
  const selected =
    targetRefs === undefined
      ? selector !== undefined && matchesLabels(selector, server.labels ?? {})
      : targetRefs.some(({ name }) => name === server.name);
  return selected ? (platform ? 'platform' : 'namespace') : undefined;
}

/** Kubernetes' rules: everything must hold; an absent label is in no set, and so matches NotIn. */
export function matchesLabels(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const valueOf = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key);
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
      }
    })
  );
}
