import { z } from 'zod';
import { mapAtomic } from '../schema/markers.ts';
import { LabelSelector } from './selector.ts';

const LabelKeys = z.array(z.string()).max(16);
const TopologyKey = z.string().min(1).describe('Label of nodes that names the domain, such as topology.kubernetes.io/zone.');
const Weight = z.int32().min(1).max(100).describe('How much a match counts, 1 to 100.');

/** `core/v1.Toleration`. */
export const Toleration = z.object({
  key: z.string().optional().describe('Key of the taint. Default: any, with operator Exists.'),
  operator: z.enum(['Exists', 'Equal', 'Lt', 'Gt']).optional().describe('Default: Equal.'),
  value: z.string().optional().describe('Value of the taint. Default: empty.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Default: every effect.'),
  tolerationSeconds: z.int().optional().describe('For NoExecute: seconds until eviction. Default: for ever.'),
});

/** `core/v1.TopologySpreadConstraint`. */
export const TopologySpreadConstraint = z.object({
  topologyKey: TopologyKey,
  maxSkew: z.int32().min(1).describe('By how many pods two domains may differ.'),
  whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']).describe('What happens when it cannot be kept.'),
  labelSelector: LabelSelector.optional().describe('Pods that are counted. Default: the pods of this server.'),
  matchLabelKeys: LabelKeys.optional().describe('Labels whose values are taken from the pod itself. Default: none.'),
  minDomains: z.int32().min(1).optional().describe('Least number of domains. Default: 1.'),
  nodeAffinityPolicy: z.enum(['Honor', 'Ignore']).optional().describe('Default: Honor.'),
  nodeTaintsPolicy: z.enum(['Honor', 'Ignore']).optional().describe('Default: Ignore.'),
});

const NodeSelectorRequirement = z.object({
  key: z.string().describe('Label key.'),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']).describe('How the value is compared.'),
  values: z.array(z.string()).max(64).optional().describe('Values; one number for Gt and Lt.'),
});

const NodeSelectorTerm = z
  .object({
    matchExpressions: z.array(NodeSelectorRequirement).max(32).optional().describe('By labels.'),
    matchFields: z.array(NodeSelectorRequirement).max(8).optional().describe('By fields.'),
  })
  .meta(mapAtomic);

const PodAffinityTerm = z.object({
  topologyKey: TopologyKey,
  labelSelector: LabelSelector.optional().describe('The other pods. Default: none.'),
  matchLabelKeys: LabelKeys.optional().describe('Labels that must equal those of the pod. Default: none.'),
  mismatchLabelKeys: LabelKeys.optional().describe('Labels that must differ from those of the pod. Default: none.'),
  namespaces: z.array(z.string()).max(64).optional().describe('Namespaces of the other pods. Default: this one.'),
  namespaceSelector: LabelSelector.optional().describe('The same by label.'),
});

const podAffinity = (word: string) =>
  z.object({
    requiredDuringSchedulingIgnoredDuringExecution: z.array(PodAffinityTerm).max(16).optional().describe(`${word}: must hold.`),
    preferredDuringSchedulingIgnoredDuringExecution: z
      .array(z.object({ weight: Weight, podAffinityTerm: PodAffinityTerm.describe('The term.') }))
      .max(16)
      .optional()
      .describe(`${word}: better if it holds.`),
  });

/** `core/v1.Affinity`. */
export const Affinity = z.object({
  nodeAffinity: z
    .object({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .object({ nodeSelectorTerms: z.array(NodeSelectorTerm).max(16).describe('Any of them.') })
        .meta(mapAtomic)
        .optional()
        .describe('Nodes: must hold.'),
      preferredDuringSchedulingIgnoredDuringExecution: z
        .array(z.object({ weight: Weight, preference: NodeSelectorTerm.describe('The term.') }))
        .max(16)
        .optional()
        .describe('Nodes: better if it holds.'),
    })
    .optional()
    .describe('Which nodes.'),
  podAffinity: podAffinity('Near these pods').optional().describe('Near which pods.'),
  podAntiAffinity: podAffinity('Away from these pods').optional().describe('Away from which pods.'),
});
