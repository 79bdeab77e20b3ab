import { z } from 'zod';
import { Affinity, Toleration, TopologySpreadConstraint } from './kubernetes/scheduling.ts';
import { listMap } from './schema/markers.ts';
import { ObjectName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

export const Scheduling = z.object({
  nodeSelector: z
    .record(z.string(), z.string().max(63))
    .meta({ maxProperties: 64 })
    .optional()
    .describe('Labels that a node must have. Default: none.'),
  tolerations: z.array(Toleration).max(64).optional().describe('Taints of nodes that do not matter. Default: none.'),
  affinity: Affinity.optional().describe('Attraction to and repulsion from nodes and pods. Default: none.'),
  topologySpreadConstraints: z
    .array(TopologySpreadConstraint)
    .max(16)
    .meta(listMap('topologyKey', 'whenUnsatisfiable'))
    .optional()
    .describe('How pods are spread. Default: softly over nodes and zones when there are several.'),
  priorityClassName: ObjectName.optional().describe("PriorityClass of the pods. Default: the cluster's default."),
  runtimeClassName: ObjectName.optional().describe("RuntimeClass of the pods. Default: the cluster's default."),
});
export type Scheduling = Plain<z.output<typeof Scheduling>>;
