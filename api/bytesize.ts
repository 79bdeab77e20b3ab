import { z } from 'zod';
import { intOrString, rules, saying } from './schema/markers.ts';

const UNITS = { '': 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 } as const;
const FORM = /^([1-9][0-9]{0,8})(k|M|G|Ki|Mi|Gi)?$/;

/** A number of bytes as a Kubernetes quantity, without fractions: `1Mi`, `65536`. */
export const ByteSize = z.union([z.int(), z.string().regex(FORM)]).meta({
  ...intOrString,
  ...rules({
    rule: 'type(self) != int || (self >= 1 && self <= 999999999)',
    message: 'must be from 1 to 999999999 bytes; larger sizes take a unit, such as 1Gi',
  }),
  ...saying('must be a size such as 65536, 512Ki, 1Mi or 1Gi'),
});

/** Bytes of a size. Throws a RangeError on anything else: the API server has checked the form. */
export function bytes(size: number | string): number {
  if (typeof size === 'number') return size;
  const [, digits, unit = ''] = FORM.exec(size) ?? [];
  if (digits === undefined) throw new RangeError(`not a size: ${JSON.stringify(size)}`);
  return Number(digits) * UNITS[unit as keyof typeof UNITS];
}
