import { GUARD_CONTAINER, SERVER_CONTAINER } from '../../../api/group.ts';
import type { HorizontalPodAutoscaler } from '../../kube/wire.ts';
import { canonical } from './canonical.ts';
import type { ChildInput } from './input.ts';
import { hasWorkload, runsElsewhere } from './input.ts';
import { childMeta } from './names.ts';
import { canonicalQuantity } from './quantity.ts';

/** The custom metric that a metrics adapter makes of the guards' counter `mcp_fleet_guard_requests_total` (docs/how-to/autoscale.md). */
export const REQUEST_RATE_METRIC = 'mcp_fleet_guard_requests_per_second';

/** Absent without `autoscaling`. While suspended it stays: an autoscaler leaves zero pods alone. */
export function autoscaler({ server }: ChildInput): HorizontalPodAutoscaler | undefined {
  const { autoscaling } = server.spec;
  if (autoscaling === undefined || !hasWorkload(server)) return undefined;
  const { minReplicas, maxReplicas, cpuUtilization, memoryUtilization, requestsPerSecond, behavior } = autoscaling;
  const container = runsElsewhere(server) ? GUARD_CONTAINER : SERVER_CONTAINER;
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: childMeta(server),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: server.metadata.name },
      minReplicas,
      maxReplicas,
      // In the order in which autoscaling/v1 gives them back, so that tools that read and write v1 see no difference (kubernetes #74099).
      metrics: [
        ...(requestsPerSecond === undefined
          ? []
          : [
              {
                type: 'Pods',
                pods: {
                  metric: { name: REQUEST_RATE_METRIC },
                  target: { type: 'AverageValue', averageValue: canonicalQuantity(requestsPerSecond) },
                },
              },
            ]),
        ...(memoryUtilization === undefined ? [] : [containerResource(container, 'memory', memoryUtilization)]),
        ...(cpuUtilization === undefined ? [] : [containerResource(container, 'cpu', cpuUtilization)]),
      ],
      ...(behavior !== undefined && { behavior: canonical(behavior) }),
    },
  } as HorizontalPodAutoscaler;
}

/** Of one container, the server's where it runs here: plain `Resource` metrics need requests in every container of the pod, sidecars too. */
const containerResource = (container: string, name: string, averageUtilization: number) => ({
  type: 'ContainerResource',
  containerResource: { name, container, target: { type: 'Utilization', averageUtilization } },
});
