import { z } from 'zod';
import { mapAtomic } from '../schema/markers.ts';

const Requirement = z.object({
  key: z.string().describe('Label key.'),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the value is compared.'),
  values: z.array(z.string()).max(64).optional().describe('Values for In and NotIn. Default: none.'),
});

/** `meta/v1.LabelSelector`. Empty selects everything. */
export const LabelSelector = z
  .object({
    matchLabels: z
      .record(z.string(), z.string())
      .meta({ maxProperties: 64 })
      .optional()
      .describe('Labels that must all have these values. Default: any.'),
    matchExpressions: z.array(Requirement).max(64).optional().describe('Requirements that must all hold. Default: none.'),
  })
  .meta(mapAtomic);
