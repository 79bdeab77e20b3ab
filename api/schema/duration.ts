import { z } from 'zod';
import { saying } from './markers.ts';

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const PART = /([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g;

/** A time span as Go writes it: `5m`, `1h30m`, `500ms`. */
export const Duration = z
  .string()
  .max(32)
  .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/)
  .meta(saying('must be a duration such as 30s, 5m or 1h30m'));

/** Milliseconds of a duration. Throws a RangeError on anything else: the API server has checked the form. */
export function milliseconds(duration: string): number {
  let total = 0;
  let length = 0;
  for (const [part, number, unit] of duration.matchAll(PART)) {
    total += Number(number) * MILLISECONDS[unit as keyof typeof MILLISECONDS];
    length += part.length;
  }
  if (length === 0 || length !== duration.length) throw new RangeError(`not a duration: ${JSON.stringify(duration)}`);
  return total;
}
