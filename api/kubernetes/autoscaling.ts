import { z } from 'zod';

import { Quantity } from '../schema/quantity.ts';

const HPAScalingPolicy = z.object({
  type: z.enum(['Pods', 'Percent']).describe('What value counts.'),
  value: z.int32().min(1).describe('Pods or percent per period.'),
  periodSeconds: z.int32().min(1).max(1800).describe('Length of the period.'),
});

const HPAScalingRules = z.object({
  stabilizationWindowSeconds: z.int32().min(0).max(3600).optional().describe('Seconds of history that count. Default: 300 down, 0 up.'),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']).optional().describe('Default: Max.'),
  policies: z.array(HPAScalingPolicy).max(8).optional().describe('Default: 100 % in 15 s; upwards also 4 pods.'),
  tolerance: Quantity.optional().describe('Deviation that changes nothing. Default: 0.1.'),
});

/** `autoscaling/v2.HorizontalPodAutoscalerBehavior`. */
export const HorizontalPodAutoscalerBehavior = z.object({
  scaleUp: HPAScalingRules.optional().describe('Adding pods.'),
  scaleDown: HPAScalingRules.optional().describe('Removing pods.'),
});
