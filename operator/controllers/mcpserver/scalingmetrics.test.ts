import { describe, expect, it } from 'vitest';
import type { HorizontalPodAutoscaler } from '../../kube/wire.ts';
import { server } from './builders.ts';
import { missingMetrics, Patience } from './scalingmetrics.ts';

type Status = NonNullable<HorizontalPodAutoscaler['status']>;
const autoscaler = (status: Partial<Status>): HorizontalPodAutoscaler => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'github' },
  spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'github' } },
  status: { desiredReplicas: 1, ...status },
});
const scaling = (status: 'True' | 'False', reason: string) => ({ conditions: [{ type: 'ScalingActive', status, reason }] });
const requests = {
  currentMetrics: [{ type: 'Pods', pods: { metric: { name: 'mcp_fleet_guard_requests_per_second' }, current: { averageValue: '3' } } }],
};

describe('metrics that an autoscaler misses', () => {
  const byCPU = { autoscaling: { maxReplicas: 2, cpuUtilization: 70 } };
  const byRequests = { autoscaling: { maxReplicas: 2, requestsPerSecond: 5 } };
  const both = { autoscaling: { maxReplicas: 2, cpuUtilization: 70, requestsPerSecond: 5 } };
  const cases: Record<string, [spec: Parameters<typeof server>[0], status: Partial<Status> | undefined, words: RegExp | undefined]> = {
    'are none before anybody looked': [byRequests, {}, undefined],
    'are none without an autoscaler': [byRequests, undefined, undefined],
    'are none while it scales': [byRequests, { ...scaling('True', 'ValidMetricFound'), ...requests }, undefined],
    'are none while the server is suspended': [byRequests, scaling('False', 'ScalingDisabled'), undefined],
    'are the requests where no adapter is': [byRequests, scaling('False', 'FailedGetPodsMetric'), /no mcp_fleet_guard_requests_per_second/],
    'are the requests also where it scales by CPU': [
      both,
      { ...scaling('True', 'ValidMetricFound'), currentMetrics: [{ type: '' }, { type: 'ContainerResource' }] },
      /requestsPerSecond does not count/,
    ],
    'are those of the pods where metrics-server has none': [
      byCPU,
      scaling('False', 'FailedGetContainerResourceMetric'),
      /no metrics to scale by: kubectl describe hpa github/,
    ],
  };
  for (const [name, [spec, status, words]] of Object.entries(cases)) {
    it(name, () => {
      const said = missingMetrics(server(spec), status === undefined ? undefined : autoscaler(status));
      if (words === undefined) expect(said).toBeUndefined();
      else expect(said).toMatch(words);
    });
  }
});

describe('Patience', () => {
  it('is over after three minutes, and begins anew when what was wrong passes', () => {
    let now = 0;
    const patience = new Patience(180_000, () => now);
    expect([patience.isOver('a', true, false), patience.left('a')]).toEqual([false, 180_000]);
    now = 179_000;
    expect([patience.isOver('a', true, false), patience.left('a')]).toEqual([false, 1_000]);
    now = 180_000;
    expect([patience.isOver('a', true, false), patience.left('a')]).toEqual([true, undefined]);
    expect([patience.isOver('a', false, true), patience.left('a')]).toEqual([false, undefined]);
    expect([patience.isOver('a', true, false), patience.left('a')]).toEqual([false, 180_000]);
  });

  it('is not needed for what is told already', () => {
    const patience = new Patience(180_000, () => 0);
    expect([patience.isOver('a', true, true), patience.left('a')]).toEqual([true, undefined]);
  });
});
