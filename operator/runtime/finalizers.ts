import type { Client, JSONPatch } from '../kube/client.ts';
import { isKubeError } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import type { Store } from './store.ts';

export interface FinalizerContext<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly store: Store<T>;
  readonly signal: AbortSignal;
}

/**
 * Makes sure that the object waits for `finalizer` before it goes; call before making what only a finalizer can clean up.
 * A concurrent change of the list fails the patch instead of being lost, and the reconcile is retried.
 */
export async function addFinalizer<T extends KubeObject>(object: T, finalizer: string, context: FinalizerContext<T>): Promise<boolean> {
  const current = object.metadata.finalizers ?? [];
  if (current.includes(finalizer) || object.metadata.deletionTimestamp !== undefined) return false;
  const add =
    current.length === 0
      ? ({ op: 'add', path: '/metadata/finalizers', value: [finalizer] } as const)
      : ({ op: 'add', path: '/metadata/finalizers/-', value: finalizer } as const);
  await patch(object, [add], context);
  return true;
}

/** Lets the object go. The finalizers of others stay. */
export async function removeFinalizer<T extends KubeObject>(object: T, finalizer: string, context: FinalizerContext<T>): Promise<boolean> {
  const index = object.metadata.finalizers?.indexOf(finalizer) ?? -1;
  if (index < 0) return false;
  const path = `/metadata/finalizers/${index}`;
  try {
    await patch(
      object,
      [
        { op: 'test', path, value: finalizer },
        { op: 'remove', path },
      ],
      context,
    );
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error;
  }
  return true;
}

async function patch<T extends KubeObject>(
  object: T,
  change: JSONPatch,
  { client, resource, store, signal }: FinalizerContext<T>,
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  const guard: JSONPatch = [
    { op: 'test', path: '/metadata/uid', value: uid },
    // An absent list cannot be tested, so the version is: two that add the first finalizer must not both win.
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
  ];
  const answer = await client.jsonPatch(resource, object.metadata, [...guard, ...change], { signal });
  // Without finalizers, an object that was being deleted is gone with this answer.
  if (answer.metadata.deletionTimestamp !== undefined && (answer.metadata.finalizers ?? []).length === 0) {
    store.removed(
      object.metadata.namespace === undefined ? object.metadata.name : `${object.metadata.namespace}/${object.metadata.name}`,
      uid ?? '',
    );
  } else {
    store.written(answer);
  }
}
