import type { MCPServer } from '../../../api/mcpserver.ts';
import type { PodSpec } from '../../kube/wire.ts';
import { GUARD_VOLUME_PREFIX } from './guard.ts';

export type ReferenceKind = 'ConfigMap' | 'Secret' | 'PersistentVolumeClaim' | 'ServiceAccount' | 'Service';

/** Another object of the namespace that a pod cannot do without. */
export interface Reference {
  readonly kind: ReferenceKind;
  readonly name: string;
  /** The pod starts without it, too. */
  readonly optional: boolean;
  /** Whether the server may write to it. Of volumes only. */
  readonly writable: boolean;
  /** Read by the operator and not by the pod: a change restarts nothing. */
  readonly live?: boolean;
}

/** Published by Kubernetes itself into every namespace. */
const ROOT_CA = 'kube-root-ca.crt';

/**
 * What a pod refers to, each object once, by kind and name. Taken from the finished pod, so that `podTemplate` counts too. `own` is the
 * ServiceAccount that the operator makes itself.
 */
export function references(pod: PodSpec, own: string): Reference[] {
  const found: Reference[] = [];
  const add = (
    kind: ReferenceKind,
    name: string | undefined,
    { optional = false, writable = false }: { optional?: boolean | undefined; writable?: boolean } = {},
  ) => {
    if (name !== undefined && name !== '' && name !== ROOT_CA) found.push({ kind, name, optional: optional ?? false, writable });
  };
  if (pod.serviceAccountName !== own) add('ServiceAccount', pod.serviceAccountName);
  const mounts = [...(pod.initContainers ?? []), ...pod.containers].flatMap(({ volumeMounts = [] }) => volumeMounts);
  for (const volume of pod.volumes ?? []) {
    // A policy or a key that changes restarts no pod.
    if (volume.name.startsWith(GUARD_VOLUME_PREFIX)) continue;
    add('ConfigMap', volume.configMap?.name, volume.configMap);
    add('Secret', volume.secret?.secretName, volume.secret);
    const writable = mounts.some((mount) => mount.name === volume.name && mount.readOnly !== true);
    add('PersistentVolumeClaim', volume.persistentVolumeClaim?.claimName, { writable });
    for (const source of volume.projected?.sources ?? []) {
      add('ConfigMap', source.configMap?.name, source.configMap);
      add('Secret', source.secret?.name, source.secret);
    }
  }
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    for (const { valueFrom } of container.env ?? []) {
      add('ConfigMap', valueFrom?.configMapKeyRef?.name, valueFrom?.configMapKeyRef);
      add('Secret', valueFrom?.secretKeyRef?.name, valueFrom?.secretKeyRef);
    }
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add('ConfigMap', configMapRef?.name, configMapRef);
      add('Secret', secretRef?.name, secretRef);
    }
  }
  return distinct(found);
}

/** The Service that the guard stands in front of. */
export const serviceReference = ({ spec }: MCPServer): Reference[] =>
  spec.service === undefined ? [] : [{ kind: 'Service', name: spec.service.name, optional: false, writable: false, live: true }];

/** Needed once is needed; written once is written. */
function distinct(found: readonly Reference[]): Reference[] {
  const byName = Map.groupBy(found, ({ kind, name }) => `${kind}/${name}`);
  return [...byName.values()]
    .flatMap(([first, ...others]) =>
      first === undefined
        ? []
        : [
            {
              ...first,
              optional: [first, ...others].every(({ optional }) => optional),
              writable: [first, ...others].some(({ writable }) => writable),
            },
          ],
    )
    .toSorted((a, b) => compare(a.kind, b.kind) || compare(a.name, b.name));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
