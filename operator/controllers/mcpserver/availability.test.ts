import { describe, expect, it } from 'vitest';
import type { Deployment, Pod } from '../../kube/wire.ts';
import { availability, type Wanted, type Workload } from './availability.ts';
import { allReady, containerStatus, live, pod } from './builders.ts';
import type { PodWarning } from './poddiagnosis.ts';

const wanted: Wanted = {
  suspended: false,
  replicas: 1,
  maxUnavailable: 0,
  expected: {
    port: 8080,
    env: [],
    memoryLimit: '512Mi',
    readOnlyRootFilesystem: true,
    unstartedSeconds: [58, 160],
    mounts: new Map([
      ['mount-etc-tls', { path: '/etc/tls', source: 'Secret tls' }],
      ['mount-all', { path: '/all', source: undefined }],
    ]),
  },
};

const waiting = (reason: string, message = '', name = 'server') =>
  pod({ containerStatuses: [containerStatus({ name, state: { waiting: { reason, message } } })] });
const crashed = (changes: object, restartCount = 2) =>
  pod({
    containerStatuses: [
      containerStatus({ restartCount, state: { running: {} }, lastState: { terminated: { exitCode: 1, reason: 'Error', ...changes } } }),
    ],
  });
/** Began at 12:00:00 and ended with 0; when its pod's readiness changed last. */
const ranFor = (until: string, readiness: string): Pod => {
  const at = (time: string): string => `2026-11-28T${time}Z`;
  const terminated = { exitCode: 0, startedAt: at('12:00:00'), finishedAt: at(until) };
  return pod({
    conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: at(readiness) }],
    containerStatuses: [containerStatus({ restartCount: 1, state: { running: {} }, lastState: { terminated } })],
  });
};
const warning = (reason: string, message: string, count = 1): PodWarning => ({ pod: 'github-1', reason, message, count });
const stuck = (): Deployment => live({ conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] });

interface Case {
  readonly deployment?: Deployment;
  readonly pods?: readonly Pod[];
  readonly warnings?: readonly PodWarning[];
  readonly wants?: Partial<Wanted>;
  readonly expected: [status: string, reason: string, message: RegExp | string];
}

describe('availability', () => {
  const cases: Record<string, Case> = {
    'is Progressing before there is a Deployment': { expected: ['False', 'Progressing', '0 of 1 pods are ready'] },
    'is Available with every pod': {
      deployment: live(allReady(2), 2),
      wants: { replicas: 2 },
      expected: ['True', 'Available', '2 of 2 pods are ready'],
    },
    'is not Available with too few': {
      deployment: live({ ...allReady(1), replicas: 2 }, 2),
      wants: { replicas: 2 },
      expected: ['False', 'Progressing', '1 of 2 pods are ready'],
    },
    'is Available with as many as a rollout may take away': {
      deployment: live({ readyReplicas: 3 }, 4),
      wants: { replicas: 4, maxUnavailable: '25%' },
      expected: ['True', 'Available', '3 of 4 pods are ready'],
    },
    'needs one pod whatever a rollout may take away': {
      deployment: live({}),
      wants: { maxUnavailable: 1 },
      expected: ['False', 'Progressing', '0 of 1 pods are ready'],
    },
    'is Available while an autoscaler adds pods': {
      deployment: live({ readyReplicas: 2 }, 7),
      wants: { replicas: 2 },
      expected: ['True', 'Available', '2 of 7 pods are ready'],
    },
    'is True while suspended': { wants: { suspended: true }, expected: ['True', 'Suspended', /Suspended/] },
    'is True at zero': { wants: { replicas: 0 }, expected: ['True', 'ScaledToZero', /zero/] },
    'no node': {
      pods: [
        pod({
          conditions: [
            { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available: 3 Insufficient cpu.' },
          ],
        }),
      ],
      expected: ['False', 'Unschedulable', 'No node takes the pod: 0/3 nodes are available: 3 Insufficient cpu.'],
    },
    'an image that cannot be pulled': {
      pods: [waiting('ErrImagePull', 'rpc error: not found')],
      expected: ['False', 'ImagePullFailed', 'Image example.com/github:1 of container server cannot be pulled: rpc error: not found'],
    },
    'an image that cannot be pulled, in the same words while the kubelet backs off': {
      pods: [waiting('ImagePullBackOff', 'Back-off pulling image "example.com/github:1": ErrImagePull: rpc error: not found')],
      expected: ['False', 'ImagePullFailed', 'Image example.com/github:1 of container server cannot be pulled: rpc error: not found'],
    },
    'an image of the operator that cannot be pulled': {
      pods: [
        pod({
          initContainerStatuses: [
            containerStatus({
              name: 'guard',
              image: 'example.com/operator:1',
              state: { waiting: { reason: 'ErrImagePull', message: 'no' } },
            }),
          ],
        }),
      ],
      expected: ['False', 'ImagePullFailed', 'Image example.com/operator:1 of container guard cannot be pulled: no'],
    },
    'a key that a Secret has not': {
      pods: [waiting('CreateContainerConfigError', "couldn't find key token in Secret agents/github")],
      expected: ['False', 'CreateContainerFailed', "Container server cannot be created: couldn't find key token in Secret agents/github"],
    },
    'a command that an image has not': {
      pods: [waiting('RunContainerError', 'failed to create task: runc: exec: "/nothing": no such file')],
      expected: ['False', 'CreateContainerFailed', 'Container server cannot be started: exec: "/nothing": no such file'],
    },
    'a command that an image has not, in the same words between two attempts': {
      pods: [
        pod({
          containerStatuses: [
            containerStatus({
              restartCount: 1,
              state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
              lastState: {
                terminated: { exitCode: 128, reason: 'StartError', message: 'failed to create task: runc: exec: "/nothing": no such file' },
              },
            }),
          ],
        }),
      ],
      expected: ['False', 'CreateContainerFailed', 'Container server cannot be started: exec: "/nothing": no such file'],
    },
    'a crash loop, with the end of the log, also while the container runs': {
      pods: [crashed({ message: 'starting\nboom' })],
      expected: ['False', 'CrashLooping', 'Container server ended with exit code 1. Last log lines:\nstarting\nboom'],
    },
    'a crash loop by memory': {
      pods: [crashed({ exitCode: 137, reason: 'OOMKilled' })],
      expected: ['False', 'CrashLooping', /ran out of memory; it used more memory than its limit of 512Mi/],
    },
    'a container that the kubelet ended because nothing listened': {
      pods: [crashed({ exitCode: 143 })],
      warnings: [warning('Unhealthy', 'Startup probe failed: dial tcp 10.0.0.1:8080: connect: connection refused')],
      expected: ['False', 'CrashLooping', /nothing listened on port 8080 in time/],
    },
    'a container that the kubelet ended because nothing listened, before its events arrive': {
      pods: [ranFor('12:01:00', '11:59:58')],
      expected: ['False', 'CrashLooping', /nothing listened on port 8080 in time/],
    },
    'a container that ended by itself, sooner than the kubelet would have ended it': {
      pods: [ranFor('12:00:05', '11:59:58')],
      expected: ['False', 'CrashLooping', /ended without an error/],
    },
    'a container that ended after its pod had been ready': {
      pods: [ranFor('12:01:00', '12:01:00')],
      expected: ['False', 'CrashLooping', /ended without an error/],
    },
    'a container of which the length says nothing': {
      pods: [ranFor('12:01:00', '11:59:58')],
      wants: { expected: { ...wanted.expected, unstartedSeconds: undefined } },
      expected: ['False', 'CrashLooping', /ended without an error/],
    },
    'a kubelet that is busy and tries again': {
      pods: [waiting('ContainerCreating')],
      warnings: [
        warning(
          'FailedMount',
          'MountVolume.SetUp failed for volume "guard-policy" : failed to sync configmap cache: timed out waiting for the condition',
        ),
        warning('FailedMount', 'MountVolume.SetUp failed for volume "guard-keys" : object "agents"/"github-guard" not registered'),
      ],
      expected: ['False', 'Progressing', '0 of 1 pods are ready'],
    },
    'a package that cannot be installed': {
      pods: [
        pod({
          initContainerStatuses: [
            containerStatus({
              name: 'install',
              restartCount: 1,
              state: { waiting: { reason: 'CrashLoopBackOff' } },
              lastState: { terminated: { exitCode: 1, message: 'E404' } },
            }),
          ],
          containerStatuses: [containerStatus({ state: { waiting: { reason: 'PodInitializing' } } })],
        }),
      ],
      expected: ['False', 'CrashLooping', 'The package cannot be installed: its installer ended with exit code 1. Last log lines:\nE404'],
    },
    'an installer and a shim that are done are no crash': {
      pods: [
        pod({
          initContainerStatuses: ['install', 'shim'].map((name) =>
            containerStatus({ name, ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } }),
          ),
        }),
      ],
      expected: ['False', 'Progressing', '0 of 1 pods are ready'],
    },
    'a guard that ended is one, whatever it ended with': {
      pods: [
        pod({ initContainerStatuses: [containerStatus({ name: 'guard', restartCount: 1, lastState: { terminated: { exitCode: 0 } } })] }),
      ],
      expected: ['False', 'CrashLooping', /^Container guard ended with exit code 0/],
    },
    'a volume, by the cause rather than the summary': {
      pods: [waiting('ContainerCreating')],
      warnings: [
        warning('FailedMount', 'Unable to attach or mount volumes: unmounted volumes=[x]: timed out'),
        warning('FailedMount', 'MountVolume.SetUp failed for volume "x" : secret "y" not found'),
      ],
      expected: ['False', 'MountFailed', 'A volume cannot be mounted: MountVolume.SetUp failed for volume "x" : secret "y" not found'],
    },
    'a key that a mounted Secret has not, with the Secret and the place': {
      pods: [waiting('ContainerCreating')],
      warnings: [
        warning('FailedMount', 'MountVolume.SetUp failed for volume "mount-etc-tls" : references non-existent secret key: tls.crt'),
      ],
      expected: [
        'False',
        'MountFailed',
        'The mount at /etc/tls (mounts) takes key tls.crt, which Secret tls has not: add the key there, or correct items[].key of the mount',
      ],
    },
    'a key that one of several sources has not': {
      pods: [waiting('ContainerCreating')],
      warnings: [
        warning('FailedMount', 'MountVolume.SetUp failed for volume "mount-all" : configmap references non-existent config key: a'),
      ],
      expected: ['False', 'MountFailed', /takes key a, which its source has not/],
    },
    "a key of a volume that is not the user's": {
      pods: [waiting('ContainerCreating')],
      warnings: [
        warning('FailedMount', 'MountVolume.SetUp failed for volume "guard-ca" : configmap references non-existent config key: ca.crt'),
      ],
      expected: ['False', 'MountFailed', /^A volume cannot be mounted: .*guard-ca/],
    },
    'a warning about another pod does not count': {
      pods: [waiting('ContainerCreating')],
      warnings: [{ ...warning('FailedMount', 'x'), pod: 'other' }],
      expected: ['False', 'Progressing', '0 of 1 pods are ready'],
    },
    'a server that is slow to listen, after a while': {
      pods: [pod({ containerStatuses: [containerStatus({ state: { running: {} }, started: false })] })],
      warnings: [warning('Unhealthy', 'Startup probe failed: connection refused', 5)],
      expected: ['False', 'Progressing', /nothing listens on port 8080/],
    },
    'a server that no longer listens': {
      pods: [pod({ containerStatuses: [containerStatus({ state: { running: {} }, started: true })] })],
      warnings: [warning('Unhealthy', 'Readiness probe failed: dial tcp 10.1.2.3:8080: connect: connection refused')],
      expected: ['False', 'ServerNotAnswering', /does not accept connections on port 8080/],
    },
    "a readiness probe of the user's own, in the words of the kubelet": {
      pods: [pod({ containerStatuses: [containerStatus({ state: { running: {} }, started: true })] })],
      warnings: [warning('Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 404')],
      expected: ['False', 'ServerNotAnswering', /readiness probe \(probes\.readiness\) fails: HTTP probe failed with statuscode: 404/],
    },
    'a quota, without the name of the pod': {
      deployment: live({
        conditions: [
          {
            type: 'ReplicaFailure',
            status: 'True',
            message: 'pods "github-5d9-x2x" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4',
          },
        ],
      }),
      expected: [
        'False',
        'QuotaExceeded',
        'Pods cannot be created: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4',
      ],
    },
    'pods that an admission plugin refuses': {
      deployment: live({
        conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'pods "github-5d9-x2x" is forbidden: violates PodSecurity' }],
      }),
      expected: ['False', 'CreateContainerFailed', 'Pods cannot be created: violates PodSecurity'],
    },
    'a deadline, where nothing else is known': {
      deployment: stuck(),
      expected: ['False', 'ProgressDeadlineExceeded', 'The rollout made no progress in time'],
    },
    'the cause before the deadline': {
      deployment: stuck(),
      pods: [waiting('ErrImagePull', 'no')],
      expected: ['False', 'ImagePullFailed', /cannot be pulled: no/],
    },
    'an eviction': {
      pods: [pod({ phase: 'Failed', reason: 'Evicted', message: 'Usage of EmptyDir volume "tmp" exceeds the limit "64Mi".' })],
      expected: ['False', 'Progressing', /A pod was evicted: Usage of EmptyDir/],
    },
  };
  for (const [name, { deployment, pods = [], warnings = [], wants, expected }] of Object.entries(cases)) {
    it(name, () => {
      const workload: Workload = { deployment, pods, warnings };
      const { status, reason, message } = availability(workload, { ...wanted, ...wants });
      expect([status, reason]).toEqual(expected.slice(0, 2));
      if (typeof expected[2] === 'string') expect(message).toBe(expected[2]);
      else expect(message).toMatch(expected[2]);
    });
  }

  it('names the same cause whatever order the pods come in', () => {
    const pods = [waiting('ErrImagePull', 'no'), { ...crashed({ message: 'boom' }), metadata: { name: 'github-2', namespace: 'agents' } }];
    const one = availability({ deployment: undefined, pods, warnings: [] }, wanted);
    expect(availability({ deployment: undefined, pods: pods.toReversed(), warnings: [] }, wanted)).toEqual(one);
    expect(one.reason).toBe('CrashLooping');
  });

  it('keeps its words from restart to restart', () => {
    const at = (restarts: number) =>
      availability({ deployment: undefined, pods: [crashed({ message: 'boom' }, restarts)], warnings: [] }, wanted);
    expect(at(7)).toEqual(at(2));
  });
});
