import type { Client } from '../kube/client.ts';
import { isKubeError } from '../kube/errors.ts';
import { type KubeObject, keyOf, type Resource } from '../kube/object.ts';
import { same } from './covers.ts';
import type { Store } from './store.ts';

export interface StatusWriterOptions<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly store: Store<T>;
  readonly fieldManager: string;
}

/**
 * Writes status by server-side apply on the subresource.
 *
 * Guarantees: nothing is sent when the status already says the same; what is no longer said disappears; a status is never
 * written to an object that has changed since, nor to a later one of the same name (`Conflict`, to be retried); the answer goes
 * into the store. The condition is the version, since the API server ignores a uid here (seen with 1.35.4).
 */
export class StatusWriter<T extends KubeObject & { readonly status?: unknown }> {
  readonly #options: StatusWriterOptions<T>;

  constructor(options: StatusWriterOptions<T>) {
    this.#options = options;
  }

  /** Whether it was written. An object that is gone needs no status. */
  async write(object: T, status: Exclude<T['status'], undefined>, signal: AbortSignal): Promise<boolean> {
    const { client, resource, store, fieldManager } = this.#options;
    const { apiVersion, kind, metadata } = object;
    const stored = store.get(keyOf(metadata));
    // An earlier write of the same reconcile has moved the version.
    const current = stored?.metadata.uid === metadata.uid ? (stored ?? object) : object;
    if (same(current.status, status)) return false;
    const { name, namespace, resourceVersion } = current.metadata;
    const wish = {
      apiVersion,
      kind,
      metadata: { name, ...(namespace !== undefined && { namespace }), ...(resourceVersion !== undefined && { resourceVersion }) },
      status,
    };
    try {
      store.written(await client.apply(resource, wish, { fieldManager, subresource: 'status', signal }));
      return true;
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return false;
      throw error;
    }
  }
}
