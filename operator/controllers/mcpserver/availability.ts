import type { Deployment, Pod } from '../../kube/wire.ts';
import type { Expectation } from './crash.ts';
import { isActive, isReady, podFinding, type Finding, type PodWarning } from './poddiagnosis.ts';
import { oneLine } from './quote.ts';

export interface Workload {
  readonly deployment: Deployment | undefined;
  readonly pods: readonly Pod[];
  readonly warnings: readonly PodWarning[];
}

export interface Wanted {
  readonly suspended: boolean;
  /** Pods wanted now: `spec.replicas`, or with autoscaling the least number. */
  readonly replicas: number;
  /** Of those, how many a rollout may take away. */
  readonly maxUnavailable: number | string;
  readonly expected: Expectation;
}

export type AvailableReason = 'Available' | 'Suspended' | 'ScaledToZero' | 'QuotaExceeded' | 'ProgressDeadlineExceeded' | Finding['reason'];

export interface Availability {
  readonly status: 'True' | 'False';
  readonly reason: AvailableReason;
  readonly message: string;
  /** The newest revision is not completely rolled out. */
  readonly rollingOut: boolean;
  /** Why the rollout has failed for good as far as Kubernetes is concerned; absent while it may still succeed. */
  readonly deadlineExceeded: string | undefined;
}

/** Whether enough pods are ready and, if not, why. Pure: the same objects give the same words. */
export function availability(workload: Workload, wanted: Wanted): Availability {
  const cause = firstCause(workload, wanted);
  const { deployment } = workload;
  const progressing = condition(deployment, 'Progressing');
  const stuck = isCurrent(deployment) && progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded';
  const deadlineExceeded = stuck ? `The rollout made no progress in time${cause === undefined ? '' : `: ${cause.message}`}` : undefined;
  const common = { rollingOut: !isRolledOut(deployment), deadlineExceeded };

  if (wanted.suspended) {
    return {
      ...common,
      status: 'True',
      reason: 'Suspended',
      message: 'Suspended: no pods are wanted',
      deadlineExceeded: undefined,
    };
  }
  if (wanted.replicas === 0) {
    return {
      ...common,
      status: 'True',
      reason: 'ScaledToZero',
      message: 'Scaled to zero: no pods are wanted',
      deadlineExceeded: undefined,
    };
  }
  const ready = deployment?.status?.readyReplicas ?? 0;
  const minimum = Math.max(1, wanted.replicas - atMost(wanted.maxUnavailable, wanted.replicas));
  if (ready >= minimum) {
    return {
      ...common,
      status: 'True',
      reason: 'Available',
      message: `${ready} of ${target(deployment, wanted)} pods are ready`,
    };
  }
  if (cause !== undefined) {
    return { ...common, status: 'False', reason: cause.reason, message: cause.message };
  }
  if (deadlineExceeded !== undefined) {
    return { ...common, status: 'False', reason: 'ProgressDeadlineExceeded', message: deadlineExceeded };
  }
  return {
    ...common,
    status: 'False',
    reason: 'Progressing',
    message: `${ready} of ${target(deployment, wanted)} pods are ready`,
  };
}

/** Whether the Deployment's controller has seen what is asked now and replaced every older pod. */
export function isRolledOut(deployment: Deployment | undefined): boolean {
  if (deployment === undefined || !isCurrent(deployment)) return false;
  const wanted = deployment.spec?.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = deployment.status ?? {};
  return updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted;
}

interface Cause {
  readonly reason: AvailableReason;
  readonly message: string;
}

function firstCause(workload: Workload, wanted: Wanted): Cause | undefined {
  return podsRefused(workload.deployment) ?? podCause(workload, wanted.expected) ?? evicted(workload.pods);
}

/** The Deployment may not create pods at all: a quota, an admission plugin, a missing ServiceAccount. */
function podsRefused(deployment: Deployment | undefined): Cause | undefined {
  const failure = condition(deployment, 'ReplicaFailure');
  if (failure?.status !== 'True') return undefined;
  // The name of the pod that was refused is new every time.
  const message = oneLine(failure.message).replace(/^[Pp]ods? "[^"]*" (is forbidden|is invalid): /, '');
  return {
    reason: /exceeded quota|must specify limits|must specify requests/.test(message) ? 'QuotaExceeded' : 'CreateContainerFailed',
    message: `Pods cannot be created: ${message}`,
  };
}

/** The worst of the pods that are not ready, so that two pods in different states do not take turns. */
const severity: readonly Finding['reason'][] = [
  'CrashLooping',
  'CreateContainerFailed',
  'ImagePullFailed',
  'MountFailed',
  'Unschedulable',
  'ServerNotAnswering',
  'Progressing',
];

function podCause({ pods, warnings }: Workload, expected: Expectation): Finding | undefined {
  const findings = pods
    .filter((pod) => isActive(pod) && !isReady(pod))
    .map((pod) => podFinding({ pod, warnings, expected }))
    .filter((finding) => finding !== undefined);
  return findings.toSorted((a, b) => severity.indexOf(a.reason) - severity.indexOf(b.reason) || compare(a.message, b.message))[0];
}

function evicted(pods: readonly Pod[]): Cause | undefined {
  if (pods.some((pod) => isActive(pod) && isReady(pod))) return undefined;
  const pod = pods.find(({ status }) => status?.phase === 'Failed' && status.reason === 'Evicted');
  return pod === undefined ? undefined : { reason: 'Progressing', message: `A pod was evicted: ${oneLine(pod.status?.message)}` };
}

const isCurrent = (deployment: Deployment | undefined): boolean =>
  deployment !== undefined && (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);

const condition = (deployment: Deployment | undefined, type: string) =>
  deployment?.status?.conditions?.find((entry) => entry.type === type);

/** With an autoscaler more pods may be wanted than the least number. */
const target = (deployment: Deployment | undefined, { replicas }: Wanted): number => Math.max(replicas, deployment?.spec?.replicas ?? 0);

/** Rounded down, as the Deployment's controller does. */
export const atMost = (value: number | string, replicas: number): number =>
  typeof value === 'number' ? value : Math.floor((Number.parseInt(value, 10) * replicas) / 100);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
