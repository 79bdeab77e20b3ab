import { z } from 'zod';
import { HorizontalPodAutoscalerBehavior } from './kubernetes/autoscaling.ts';
import { rules } from './schema/markers.ts';
import type { Plain } from './schema/plain.ts';
import { IntOrPercent } from './schema/quantity.ts';

/** Largest number of pods of one server. */
export const MAX_REPLICAS = 1000;

const Utilization = z.int32().min(1).max(1000);

export const Autoscaling = z
  .object({
    minReplicas: z.int32().min(1).max(MAX_REPLICAS).default(1).describe('Fewest pods. Default: 1.'),
    maxReplicas: z.int32().min(1).max(MAX_REPLICAS).describe('Most pods.'),
    cpuUtilization: Utilization.optional().describe(
      'Percent of the CPU request of the server that is aimed at. Default: CPU does not count.',
    ),
    memoryUtilization: Utilization.optional().describe(
      'Percent of the memory request of the server that is aimed at. Default: memory does not count.',
    ),
    requestsPerSecond: z
      .int32()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe(
        'MCP requests per second and pod that are aimed at, counted by the guard and served by a metrics adapter (docs/how-to/autoscale.md). Default: requests do not count.',
      ),
    behavior: HorizontalPodAutoscalerBehavior.optional().describe('How fast it scales, as in autoscaling/v2. Default: as Kubernetes does.'),
  })
  .meta(
    rules(
      {
        rule: 'self.minReplicas <= self.maxReplicas',
        message: 'minReplicas must not exceed maxReplicas: raise maxReplicas or lower minReplicas',
        fieldPath: '.minReplicas',
      },
      {
        rule: 'has(self.cpuUtilization) || has(self.memoryUtilization) || has(self.requestsPerSecond)',
        message: 'name what to scale by: set at least one of cpuUtilization, memoryUtilization and requestsPerSecond',
      },
    ),
  );
export type Autoscaling = Plain<z.output<typeof Autoscaling>>;

export const DisruptionBudget = z.object({
  maxUnavailable: IntOrPercent.default(1).describe(
    'Pods, or percent of them, that a voluntary disruption such as a node drain may take at a time. Default: 1.',
  ),
});
export type DisruptionBudget = Plain<z.output<typeof DisruptionBudget>>;

export const Rollout = z
  .object({
    maxSurge: IntOrPercent.default(1).describe(
      'Pods, or percent of them, beyond the wanted number while new ones replace old ones. Default: 1.',
    ),
    maxUnavailable: IntOrPercent.default(0).describe('Pods, or percent of them, that may be missing meanwhile. Default: 0.'),
    drainSeconds: z
      .int32()
      .min(0)
      .max(3600)
      .default(30)
      .describe('Seconds that running calls get to finish when a pod ends. Its grace period is 15 seconds longer. Default: 30.'),
    progressDeadlineSeconds: z
      .int32()
      .min(1)
      .max(86_400)
      .default(300)
      .describe('Seconds without progress after which a rollout has failed (ProgressDeadlineExceeded). Default: 300.'),
    onReferenceChange: z
      .enum(['Restart', 'Ignore'])
      .default('Restart')
      .describe(
        'Whether pods are replaced when a ConfigMap they use changes; a Secret too, where the operator may watch Secrets. Default: Restart.',
      ),
  })
  .meta(
    rules({
      rule: "!((self.maxSurge == 0 || self.maxSurge == '0%') && (self.maxUnavailable == 0 || self.maxUnavailable == '0%'))",
      message: 'maxSurge and maxUnavailable cannot both be 0: no pod could ever be replaced',
      fieldPath: '.maxUnavailable',
    }),
  );
export type Rollout = Plain<z.output<typeof Rollout>>;
