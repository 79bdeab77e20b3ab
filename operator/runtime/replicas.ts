import type { Client } from '../kube/client.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { ownsField } from './ownership.ts';

export interface HandOverOptions<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  /** The manager that gives `spec.replicas` up. The one that takes it is called `<fieldManager>-replicas`. */
  readonly fieldManager: string;
  /** Replicas to start with where there are none, since an autoscaler leaves 0 alone. */
  readonly minReplicas?: number;
  readonly signal: AbortSignal;
}

/**
 * Call before applying a wish without `spec.replicas`: whoever drops an applied field has it reset (to 1, seen with
 * 1.35.4), unless another manager holds it. The autoscaler's first change takes it over from that one.
 */
export async function handOverReplicas<T extends KubeObject & { readonly spec?: { readonly replicas?: number } }>(
  live: T,
  { client, resource, fieldManager, minReplicas = 1, signal }: HandOverOptions<T>,
): Promise<boolean> {
  const stopped = live.spec?.replicas === 0;
  if (!stopped && !ownsField(live, fieldManager, ['spec', 'replicas'])) return false;
  const { apiVersion, kind, metadata } = live;
  const { name, namespace, uid } = metadata;
  const wish = {
    apiVersion,
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) },
    spec: { replicas: stopped ? minReplicas : (live.spec?.replicas ?? 1) },
  };
  await client.apply(resource, wish, { fieldManager: `${fieldManager}-replicas`, signal });
  return true;
}
