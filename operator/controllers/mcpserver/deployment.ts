import type { Deployment } from '../../kube/wire.ts';
import { hasWorkload, type ChildInput } from './input.ts';
import { childMeta, selector } from './names.ts';
import { podTemplate } from './podspec.ts';

/** The workload of a server that runs here; `undefined` for one that runs elsewhere. */
export function deployment(input: ChildInput): Deployment | undefined {
  const { server, replicas } = input;
  if (!hasWorkload(server)) return undefined;
  const { maxSurge, maxUnavailable, progressDeadlineSeconds } = server.spec.rollout;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMeta(server),
    spec: {
      // The autoscaler owns it otherwise: applying a value would fight it.
      ...(replicas !== undefined && { replicas }),
      selector: { matchLabels: selector(server) },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
      progressDeadlineSeconds,
      template: podTemplate(input),
    },
  };
}

/** `spec.replicas` to apply; `undefined` where an autoscaler decides. */
export function wantedReplicas({ spec }: ChildInput['server']): number | undefined {
  if (spec.suspend) return 0;
  return spec.autoscaling === undefined ? spec.replicas : undefined;
}
