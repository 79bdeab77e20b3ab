import { describe, expect, test } from 'vitest';
import { objectState } from './objectstate.ts';
import type { KubeObject } from './kubeapi.ts';

const object = (rest: object, metadata: object = {}): KubeObject => ({ metadata: { name: 'x', generation: 2, ...metadata }, ...rest });
const container = (rest: object) => ({ name: 'server', ready: false, restartCount: 0, ...rest });

describe('the state of', () => {
  const cases: Record<string, { kind: string; object: KubeObject; ready: boolean | undefined; text: string }> = {
    'a Deployment that is done': {
      kind: 'Deployment',
      object: object({ spec: { replicas: 2 }, status: { readyReplicas: 2, updatedReplicas: 2, observedGeneration: 2 } }),
      ready: true,
      text: '2 of 2 pods ready',
    },
    'a Deployment that is rolling out': {
      kind: 'Deployment',
      object: object({ spec: { replicas: 2 }, status: { readyReplicas: 2, updatedReplicas: 1, observedGeneration: 2 } }),
      ready: false,
      text: '2 of 2 pods ready, rolling out',
    },
    'a suspended Deployment': {
      kind: 'Deployment',
      object: object({ spec: { replicas: 0 }, status: { observedGeneration: 2 } }),
      ready: true,
      text: 'no pods wanted',
    },
    'a pod that runs': {
      kind: 'Pod',
      object: object({
        status: {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True' }],
          containerStatuses: [container({ ready: true, state: { running: {} } })],
        },
      }),
      ready: true,
      text: 'Running',
    },
    'a pod whose container crashes': {
      kind: 'Pod',
      object: object({
        status: {
          phase: 'Running',
          containerStatuses: [container({ restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } })],
        },
      }),
      ready: false,
      text: 'server: CrashLoopBackOff, 3 restarts',
    },
    'a pod whose container has just ended': {
      kind: 'Pod',
      object: object({
        status: {
          phase: 'Running',
          containerStatuses: [container({ restartCount: 1, state: { terminated: { reason: 'OOMKilled', exitCode: 137 } } })],
        },
      }),
      ready: false,
      text: 'server: OOMKilled (exit 137), 1 restart',
    },
    'a pod whose installer is at work': {
      kind: 'Pod',
      object: object({
        status: {
          phase: 'Pending',
          initContainerStatuses: [container({ name: 'install', state: { running: {} } })],
          containerStatuses: [container({ state: { waiting: { reason: 'PodInitializing' } } })],
        },
      }),
      ready: false,
      text: 'Pending',
    },
    'a pod that fits nowhere': {
      kind: 'Pod',
      object: object({ status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] } }),
      ready: false,
      text: 'Unschedulable',
    },
    'an object that is going': {
      kind: 'Secret',
      object: object({}, { deletionTimestamp: '2026-11-20T12:00:00Z' }),
      ready: false,
      text: 'being deleted',
    },
    'a Service': {
      kind: 'Service',
      object: object({ spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', ports: [{ port: 80 }] } }),
      ready: undefined,
      text: 'ClusterIP 10.0.0.1:80',
    },
    'a Service without its balancer': {
      kind: 'Service',
      object: object({ spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } }),
      ready: false,
      text: 'waiting for an address',
    },
    'an EndpointSlice': {
      kind: 'EndpointSlice',
      object: object({ endpoints: [{ conditions: { ready: true } }, { conditions: { ready: false } }] }),
      ready: true,
      text: '1 of 2 addresses ready',
    },
    'an autoscaler without metrics': {
      kind: 'HorizontalPodAutoscaler',
      object: object({
        spec: { minReplicas: 2, maxReplicas: 5 },
        status: {
          currentReplicas: 2,
          desiredReplicas: 0,
          conditions: [{ type: 'ScalingActive', status: 'False', reason: 'FailedGetContainerResourceMetric' }],
        },
      }),
      ready: false,
      text: '2 pods, wants 0 (2 to 5): FailedGetContainerResourceMetric',
    },
    'an Ingress': {
      kind: 'Ingress',
      object: object({ status: { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } } }),
      ready: true,
      text: '192.0.2.7',
    },
    'a route that no Gateway took': { kind: 'HTTPRoute', object: object({}), ready: false, text: 'waiting for a Gateway' },
    'a route that a Gateway refused': {
      kind: 'HTTPRoute',
      object: object({ status: { parents: [{ conditions: [{ type: 'Accepted', status: 'False', reason: 'NotAllowedByListeners' }] }] } }),
      ready: false,
      text: 'not accepted: NotAllowedByListeners',
    },
    'a binding': {
      kind: 'RoleBinding',
      object: object({ roleRef: { kind: 'ClusterRole', name: 'view' } }),
      ready: undefined,
      text: 'to ClusterRole view',
    },
    'what has none': { kind: 'ServiceAccount', object: object({}), ready: undefined, text: '' },
  };
  test.each(Object.entries(cases))('%s', (_, { kind, object, ready, text }) => {
    expect(objectState(kind, object)).toEqual({ ready, text });
  });
});
