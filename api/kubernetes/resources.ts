import { z } from 'zod';
import { listMap } from '../schema/markers.ts';
import { Quantity } from '../schema/quantity.ts';

const ResourceList = z.record(z.string(), Quantity).meta({ maxProperties: 32 });

/** `core/v1.ResourceRequirements`. */
export const ResourceRequirements = z.object({
  requests: ResourceList.optional().describe("What the scheduler sets aside. Default: the operator's."),
  limits: ResourceList.optional().describe("What the container may use at most. Default: the operator's."),
  claims: z
    .array(
      z.object({
        name: z.string().min(1).max(253).describe('A claim of the pod (podTemplate.spec.resourceClaims).'),
        request: z.string().max(253).optional().describe('One request of the claim. Default: all of them.'),
      }),
    )
    .max(16)
    .meta(listMap('name'))
    .optional()
    .describe('Dynamic resource claims that the container uses. Default: none.'),
});
