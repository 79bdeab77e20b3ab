import { describe, expect, it } from 'vitest';
import type { KubeObject, Resource } from '../../kube/object.ts';
import type { WatchSettings } from '../../runtime/manager.ts';
import { ObjectStore } from '../../runtime/store.ts';
import { By, podOfEvent, serverOfPod, slimAutoscaler, watchStores } from './stores.ts';

interface Watch {
  readonly resource: Resource;
  readonly settings: WatchSettings<KubeObject>;
}

function watches(secretRotation: boolean): Watch[] {
  const seen: Watch[] = [];
  watchStores(
    {
      watch: (resource, settings) => {
        seen.push({ resource, settings: settings as unknown as WatchSettings<KubeObject> });
        return new ObjectStore(resource.plural);
      },
    },
    { secretRotation, clusterRoles: ['view'], referenceKeys: () => [] },
  );
  return seen;
}

describe('the watches', () => {
  const of = (kind: string, secretRotation = true) => watches(secretRotation).filter(({ resource }) => resource.kind === kind);

  it('never ask for more of a Secret than its metadata, and for nothing without rotation', () => {
    expect(of('Secret').map(({ settings }) => settings.metadataOnly)).toEqual([true]);
    expect(of('Secret', false)).toEqual([]);
  });

  it('ask for the content of our own ConfigMaps alone', () => {
    for (const { settings } of of('ConfigMap'))
      expect(settings.metadataOnly === true || settings.labelSelector?.includes('mcp-fleet.dev/server')).toBe(true);
  });

  it('take of other ClusterRoles only those by name', () => {
    expect(of('ClusterRole').map(({ settings }) => settings.fieldSelector ?? settings.labelSelector)).toEqual([
      'app.kubernetes.io/managed-by=mcp-fleet-operator,mcp-fleet.dev/server',
      'metadata.name=mcp-fleet-grantable',
      'metadata.name=view',
    ]);
  });
});

describe('indexes', () => {
  it('know the server of an object by its label', () => {
    const pod = (labels: Record<string, string>) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'a', labels } });
    expect(serverOfPod(pod({ 'mcp-fleet.dev/server': 'x' }))).toEqual(['a/x']);
    expect(serverOfPod(pod({}))).toEqual([]);
  });

  it('take a pod for that of a server only if the Deployment of that server made it', () => {
    const [made, ...others] = [
      ['ReplicaSet', 'x-5d4f', true],
      ['ReplicaSet', 'x-other', true],
      ['ReplicaSet', 'xy-5d4f', true],
      ['ReplicaSet', 'x-5d4f', false],
      ['Job', 'x-5d4f', true],
      undefined,
    ].map((owner) => {
      const [kind = '', name = '', controller] = (owner ?? []) as [string?, string?, boolean?];
      const labels = { 'mcp-fleet.dev/server': 'x', 'pod-template-hash': '5d4f' };
      const ownerReferences = owner === undefined ? [] : [{ apiVersion: 'apps/v1', kind, name, uid: 'u', controller: controller === true }];
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'a', labels, ownerReferences } };
      const settings = watches(false).find(({ resource }) => resource.kind === 'Pod')?.settings;
      return settings?.indexes?.[By.Server]?.(settings.transform?.(pod) ?? pod);
    });
    expect(made).toEqual(['a/x']);
    expect(others).toEqual([[], [], [], [], []]);
  });

  it('know the pod of an event', () => {
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'e', namespace: 'a' },
      eventTime: '',
      regarding: { name: 'p', namespace: 'a' },
    } as const;
    expect(podOfEvent(event)).toEqual(['a/p']);
  });
});

it('of an autoscaler its figures are not kept', () => {
  const conditions = [{ type: 'ScalingActive', status: 'False', reason: 'FailedGetResourceMetric' }];
  const slim = slimAutoscaler({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'a', namespace: 'n', managedFields: [{ manager: 'us' }] },
    spec: { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'a' } },
    status: { conditions, currentMetrics: [], currentReplicas: 1, desiredReplicas: 1, lastScaleTime: '2026-01-01T00:00:00Z' },
  });
  expect(slim.status).toEqual({ conditions });
  expect(slim.spec.maxReplicas).toBe(2);
});
