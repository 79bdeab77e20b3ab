import type { PodDisruptionBudget } from '../../kube/wire.ts';
import { guaranteedReplicas, hasWorkload, type ChildInput } from './input.ts';
import { childMeta, selector } from './names.ts';

/** From two guaranteed pods on. For one it would only block the drain of its node. */
export function disruptionBudget({ server }: ChildInput): PodDisruptionBudget | undefined {
  if (!hasWorkload(server) || guaranteedReplicas(server) < 2) return undefined;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMeta(server),
    spec: {
      selector: { matchLabels: selector(server) },
      maxUnavailable: server.spec.disruptionBudget?.maxUnavailable ?? 1,
      // Pods that never become ready would otherwise block every drain.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}
