export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

export type ConditionUpdate = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

/** Types that are present only while true, so that `kubectl wait` reads well (Flux, kstatus). */
const ABNORMAL = ['Reconciling', 'Stalled'];

/**
 * The conditions after an update, `Ready` first and the others by name. `lastTransitionTime` moves only when `status`
 * does, so that an unchanged status is byte-for-byte the same. Conditions without an update stay, but for
 * `Reconciling` and `Stalled`, which leave unless an update says `True`.
 */
export function withConditions(
  current: readonly Condition[] | undefined,
  updates: readonly ConditionUpdate[],
  observedGeneration: number,
  now: Date,
): Condition[] {
  const before = new Map((current ?? []).map((condition) => [condition.type, condition]));
  const next = new Map(before);
  for (const type of ABNORMAL) next.delete(type);
  for (const { type, status, reason, message } of updates) {
    if (ABNORMAL.includes(type) && status !== 'True') continue;
    const old = before.get(type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : timestamp(now);
    next.set(type, { type, status, reason, message, observedGeneration, lastTransitionTime });
  }
  return [...next.values()].toSorted((a, b) => rank(a) - rank(b) || (a.type < b.type ? -1 : 1));
}

export const conditionOf = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);

/** RFC 3339 to the second, as Kubernetes writes `Time`. */
export const timestamp = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;

/** RFC 3339 with exactly six fractional digits: the API server refuses any other `MicroTime` (kubernetes#141204). */
export const microTime = (date: Date): string => date.toISOString().replace('Z', '000Z');

const rank = (condition: Condition): number => (condition.type === 'Ready' ? 0 : 1);
