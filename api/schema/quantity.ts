import { z } from 'zod';
import { intOrString, rules, saying } from './markers.ts';

/** A Kubernetes quantity that is not negative: `50m`, `64Mi`, `2`. The pattern is that of apimachinery without the minus. */
export const Quantity = z
  .union([
    z.int(),
    z.string().regex(/^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$/),
  ])
  .meta(intOrString);

/** A number of pods, or a percentage of them. */
export const IntOrPercent = z.union([z.int(), z.string().regex(/^(100|[1-9]?[0-9])%$/)]).meta({
  ...intOrString,
  ...rules({ rule: 'type(self) != int || self >= 0', message: 'must not be negative: write a number of pods or a percentage' }),
  ...saying('must be a number of pods, or a percentage from 0% to 100%'),
});
