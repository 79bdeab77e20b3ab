import { GUARD_CONTAINER, SERVER_CONTAINER } from '../../../api/group.ts';
import type { Pod } from '../../kube/wire.ts';
import { crashHint, type Expectation } from './crash.ts';
import { logTail, oneLine } from './quote.ts';

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
type Terminated = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>;

/** A Warning event about a pod. */
export interface PodWarning {
  readonly pod: string;
  readonly reason: string;
  readonly message: string;
  /** How often it was seen. */
  readonly count: number;
}

/** Why a pod is not ready, as a reason of the condition `Available` and words for people. */
export interface Finding {
  readonly reason:
    | 'Unschedulable'
    | 'ImagePullFailed'
    | 'CreateContainerFailed'
    | 'CrashLooping'
    | 'MountFailed'
    | 'ServerNotAnswering'
    | 'Progressing';
  readonly message: string;
}

export interface PodView {
  readonly pod: Pod;
  readonly warnings: readonly PodWarning[];
  readonly expected: Expectation;
}

type Check = (view: PodView) => Finding | undefined;

/** The container that installs a package before the server starts. */
export const INSTALL_CONTAINER = 'install';

const unschedulable: Check = ({ pod }) => {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
    ? { reason: 'Unschedulable', message: `No node takes the pod: ${oneLine(scheduled.message)}` }
    : undefined;
};

const imagePullFailed: Check = ({ pod }) => {
  const status = waitingFor(
    pod,
    'ErrImagePull',
    'ImagePullBackOff',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
  );
  if (status === undefined) return undefined;
  // The kubelet alternates between the error and "Back-off pulling image …: ErrImagePull: <the error>".
  const cause = oneLine(status.state?.waiting?.message)
    .replace(/^Back-off pulling image "[^"]*":? ?/, '')
    .replace(/^(ErrImagePull|ImagePullBackOff): /, '');
  return {
    reason: 'ImagePullFailed',
    message: `Image ${status.image} of container ${status.name} cannot be pulled${cause === '' ? '' : `: ${cause}`}`,
  };
};

const createContainerFailed: Check = ({ pod }) => {
  const waiting = waitingFor(
    pod,
    'CreateContainerConfigError',
    'CreateContainerError',
    'PreCreateHookError',
    'PreStartHookError',
    'PostStartHookError',
  );
  if (waiting !== undefined) {
    return {
      reason: 'CreateContainerFailed',
      message: `Container ${waiting.name} cannot be created: ${oneLine(waiting.state?.waiting?.message)}`,
    };
  }
  // A command that does not exist in the image: the container ends before it began. The kubelet calls it by turns an error and an end.
  for (const status of statuses(pod)) {
    const ended = endOf(status);
    const failedStart = ended !== undefined && ['StartError', 'ContainerCannotRun'].includes(ended.reason ?? '');
    const error =
      status.state?.waiting?.reason === 'RunContainerError' ? status.state.waiting.message : failedStart ? ended.message : undefined;
    if (error !== undefined)
      return { reason: 'CreateContainerFailed', message: `Container ${status.name} cannot be started: ${startError(error)}` };
  }
  return undefined;
};

const crashLooping: Check = ({ pod, expected, warnings }) => {
  for (const status of statuses(pod)) {
    const ended = endOf(status);
    if (ended === undefined || (ended.exitCode === 0 && runsOnce(pod, status))) continue;
    const log = logTail(ended.message);
    const neverListened =
      status.name === SERVER_CONTAINER &&
      [137, 143, 0].includes(ended.exitCode) &&
      (startupProbeFailed(pod, warnings) || ranUntilGivenUp(pod, ended, expected));
    const hint = crashHint({ exitCode: ended.exitCode, reason: ended.reason, log, neverListened }, expected);
    const what = status.name === INSTALL_CONTAINER ? 'The package cannot be installed: its installer' : `Container ${status.name}`;
    const how = ended.reason === 'OOMKilled' ? 'ran out of memory' : `ended with exit code ${ended.exitCode}`;
    return {
      reason: 'CrashLooping',
      message: `${what} ${how}${hint === undefined ? '' : `; ${hint}`}${log === '' ? '' : `. Last log lines:\n${log}`}`,
    };
  }
  return undefined;
};

/** What prepares the pod (the package, the shim) is done when it ends; the guard is an init container that stays. */
const runsOnce = ({ status }: Pod, { name }: ContainerStatus): boolean =>
  name !== GUARD_CONTAINER && status?.initContainerStatuses?.some((one) => one.name === name) === true;

const mountFailed: Check = ({ pod, warnings, expected }) => {
  if (!statuses(pod).some(({ state }) => ['ContainerCreating', 'PodInitializing'].includes(state?.waiting?.reason ?? ''))) return undefined;
  const failures = about(pod, warnings, 'FailedMount', 'FailedAttachVolume', 'FailedMapVolume')
    .map(({ message }) => oneLine(message))
    .filter((text) => !KUBELET_BUSY.test(text) || text.includes('not found'));
  // What failed says more than the summary that the kubelet adds after two minutes.
  const message = failures.toSorted().find((text) => !text.includes('unmounted volumes=')) ?? failures[0];
  if (message === undefined) return undefined;
  return { reason: 'MountFailed', message: missingKey(message, expected) ?? `A volume cannot be mounted: ${message}` };
};

/** A kubelet that has not got what the API server has yet. It tries again by itself; what does not exist it says in other words. */
const KUBELET_BUSY = /failed to sync (?:configmap|secret) cache: timed out|object "[^"]*"\/"[^"]*" not registered/;

/** The kubelet names neither the Secret or ConfigMap nor the place: only the volume, whose name is ours. */
function missingKey(message: string, { mounts }: Expectation): string | undefined {
  const [, volume = '', key] = /failed for volume "([^"]+)".*references non-existent (?:secret|config) key: (\S+)/.exec(message) ?? [];
  const mount = mounts.get(volume);
  if (mount === undefined || key === undefined) return undefined;
  const { path, source = 'its source' } = mount;
  return `The mount at ${path} (mounts) takes key ${key}, which ${source} has not: add the key there, or correct items[].key of the mount`;
}

const sandboxFailed: Check = ({ pod, warnings }) => {
  const failure = about(pod, warnings, 'FailedCreatePodSandBox')[0];
  return failure === undefined || statuses(pod).some(({ state }) => state?.running !== undefined)
    ? undefined
    : { reason: 'CreateContainerFailed', message: `The pod cannot be set up on its node: ${oneLine(failure.message)}` };
};

/** A start that takes a few probes is no news. */
const PATIENCE = 5;

const notListening: Check = ({ pod, warnings, expected }) => {
  const server = statuses(pod).find(({ name }) => name === SERVER_CONTAINER);
  const failures = about(pod, warnings, 'Unhealthy').filter(({ message }) => message.startsWith('Startup probe failed'));
  return server?.state?.running !== undefined && server.started !== true && failures.some(({ count }) => count >= PATIENCE)
    ? {
        reason: 'Progressing',
        message: `The container runs, but nothing listens on port ${expected.port} (transport.port) yet: is it another port, or 127.0.0.1 alone?`,
      }
    : undefined;
};

const notAnswering: Check = ({ pod, warnings, expected }) => {
  const server = statuses(pod).find(({ name }) => name === SERVER_CONTAINER);
  const failure = about(pod, warnings, 'Unhealthy').find(({ message }) => message.startsWith(READINESS_FAILED));
  if (server?.state?.running === undefined || server.started !== true || server.ready || failure === undefined) return undefined;
  const cause = oneLine(failure.message.slice(READINESS_FAILED.length));
  return {
    reason: 'ServerNotAnswering',
    // The probe of the operator's own opens a connection; another one is the user's, who knows what it means.
    message: cause.startsWith('dial tcp')
      ? `The container runs, but does not accept connections on port ${expected.port} any more`
      : `The container runs, but its readiness probe (probes.readiness) fails: ${cause}`,
  };
};

const READINESS_FAILED = 'Readiness probe failed: ';

/** The server runs, and its guard is not satisfied: what it lacks is told by the verification. */
const guardNotReady: Check = ({ pod, warnings }) => {
  const [server, guard] = [SERVER_CONTAINER, GUARD_CONTAINER].map((name) => statuses(pod).find((status) => status.name === name));
  const failed = about(pod, warnings, 'Unhealthy').some(({ message }) => message.startsWith(READINESS_FAILED));
  return server?.state?.running !== undefined && server.started === true && guard?.state?.running !== undefined && !guard.ready && failed
    ? { reason: 'ServerNotAnswering', message: 'The container runs, but the guard has no answer to MCP from it' }
    : undefined;
};

/** In the order in which a pod comes to life; a later step cannot fail before an earlier one has passed. */
const checks: readonly Check[] = [
  unschedulable,
  imagePullFailed,
  createContainerFailed,
  crashLooping,
  mountFailed,
  sandboxFailed,
  notListening,
  notAnswering,
  guardNotReady,
];

/** The surest cause for a pod that is not ready; `undefined` when it simply takes its time. */
export function podFinding(view: PodView): Finding | undefined {
  for (const check of checks) {
    const finding = check(view);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

export const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';

/** Whether a pod still counts: neither on its way out nor a leftover of an eviction. */
export const isActive = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded';

const statuses = (pod: Pod): readonly ContainerStatus[] => [
  ...(pod.status?.initContainerStatuses ?? []),
  ...(pod.status?.containerStatuses ?? []),
];

const waitingFor = (pod: Pod, ...reasons: readonly string[]): ContainerStatus | undefined =>
  statuses(pod).find(({ state }) => reasons.includes(state?.waiting?.reason ?? ''));

/**
 * How a container that is not ready last ended. Between two attempts it runs for a while: it is the same crash loop as long as it is
 * not ready, so its past counts, or the condition would change at every restart.
 */
function endOf(status: ContainerStatus): Terminated | undefined {
  if (status.ready && status.state?.running !== undefined) return undefined;
  const { state, lastState } = status;
  if (state?.terminated !== undefined) return state.terminated;
  return status.restartCount > 0 ? lastState?.terminated : undefined;
}

const about = (pod: Pod, warnings: readonly PodWarning[], ...reasons: readonly string[]): readonly PodWarning[] =>
  warnings.filter((warning) => warning.pod === pod.metadata.name && reasons.includes(warning.reason));

const startupProbeFailed = (pod: Pod, warnings: readonly PodWarning[]): boolean =>
  about(pod, warnings, 'Unhealthy').some(({ message }) => message.startsWith('Startup probe failed'));

/** A kubelet with much to tell sends its events late, or not at all: how long the container ran says the same. */
function ranUntilGivenUp(pod: Pod, { startedAt, finishedAt }: Terminated, { unstartedSeconds }: Expectation): boolean {
  if (unstartedSeconds === undefined) return false;
  const [least, most] = unstartedSeconds;
  const began = Date.parse(startedAt ?? '');
  const seconds = (Date.parse(finishedAt ?? '') - began) / 1000;
  // A pod that was ready while it ran has listened: then its readiness has changed since.
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
  return seconds >= least && seconds <= most && Date.parse(ready ?? '') <= began;
}

/** runc wraps its cause in a chain of its own steps; the end of it is the news. */
function startError(message: string | undefined): string {
  const text = oneLine(message);
  return /exec: .*$/.exec(text)?.[0] ?? /error during container init: .*$/.exec(text)?.[0] ?? text;
}
