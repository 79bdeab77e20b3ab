import { type Bundle, type IssuerKeys, isValid, type Pins, type Policy } from '../mcp/policy/bundle.ts';
import { policyName } from '../mcp/policy/merge.ts';

/** What a ConfigMap holds, less some room for its metadata. */
export const MAX_BYTES = 1_000_000;

/** The part of a bundle that may grow without bounds. */
export interface Content {
  readonly policies: readonly Policy[];
  readonly pins: Pins | undefined;
}

/** What is enforced instead of what does not fit, and what that means. */
export interface Substitute extends Content {
  readonly consequence: string;
}

/**
 * What may be enforced where the wanted content does not fit, best first. Policies of the platform come before those of the
 * namespace, whose authors could keep new ones of the platform out by writing long ones. What has no place and had none before refuses every call.
 */
export function substitutes({ policies }: Content, previous: Bundle | undefined): readonly Substitute[] {
  const [platform, own] = byTier(policies);
  const safe = [
    // Without pins the hints of a server lower nothing, which refuses rather than allows.
    substitute(policies, undefined, 'no tool counts as pinned'),
    substitute([...platform, ...own.slice(0, 1).map(refusing)], undefined, LAST),
  ];
  if (previous === undefined || previous.policy.policies.length === 0) return safe;
  const { pins } = previous;
  const [, lastOwn] = byTier(previous.policy.policies);
  return [
    substitute(policies, pins, LAST),
    substitute([...platform, ...lastOwn], pins, LAST),
    ...safe,
    substitute(previous.policy.policies, pins, LAST),
  ];
}

/** The smallest content there is: one policy that cannot be read is enough. */
export const refusal = ({ policies }: Content): Substitute => substitute(policies.slice(0, 1).map(refusing), undefined, LAST);

const LAST = 'what fitted last stays in force';

const substitute = (policies: readonly Policy[], pins: Pins | undefined, consequence: string): Substitute => ({
  policies,
  pins,
  consequence: policies.every(isValid) ? consequence : 'every call is refused',
});

const byTier = (policies: readonly Policy[]): readonly [platform: readonly Policy[], own: readonly Policy[]] => [
  policies.filter(({ tier }) => tier === 'platform'),
  policies.filter(({ tier }) => tier !== 'platform'),
];

const refusing = ({ namespace, name, generation, tier }: Policy): Policy => ({
  namespace,
  name,
  generation,
  tier,
  invalid: 'the policies of this server do not fit into a bundle',
});

/** Most policies that the message names. */
const TOLD = 3;

/** Who must do what about a bundle of `bytes`. */
export function oversizeMessage(bytes: number, { policies, pins }: Content, keys: IssuerKeys, server: string): string {
  const parts = [
    ...policies.map((policy) => ({ name: policyName(policy), bytes: sizeOf(policy) })),
    { name: `pins in ConfigMap ${server}-pins`, bytes: sizeOf(pins ?? {}) },
    { name: 'keys of its token issuers', bytes: sizeOf(keys) },
  ].toSorted((a, b) => b.bytes - a.bytes);
  const largest = parts.slice(0, TOLD).map((part) => `${part.name} (${part.bytes} bytes)`);
  return `The policy bundle would have ${bytes} bytes, and ${MAX_BYTES} fit into a ConfigMap. Whoever wrote the largest parts must shorten them: ${largest.join(', ')}`;
}

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
