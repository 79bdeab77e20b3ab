import type { Client } from '../operator/kube/client.ts';
import { isKubeError } from '../operator/kube/errors.ts';
import type { KubeObject, Resource } from '../operator/kube/object.ts';

/** Every version that one object, or all of a namespace, have from now on, as a watch saw them: what a poll would miss in between, too. */
export class Versions<T extends KubeObject> implements AsyncDisposable {
  readonly seen: T[] = [];
  readonly #stopped = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  static async of<T extends KubeObject>(client: Client, resource: Resource<T>, namespace: string, name?: string): Promise<Versions<T>> {
    const versions = new Versions<T>();
    const scope = { namespace, ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }) };
    const { items, resourceVersion } = await client.list(resource, scope);
    versions.seen.push(...items);
    versions.#watching = versions.#watch(client, resource, scope, resourceVersion);
    return versions;
  }

  async #watch(client: Client, resource: Resource<T>, scope: { namespace: string; fieldSelector?: string }, from: string): Promise<void> {
    let resourceVersion = from;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await client.watch(resource, { ...scope, resourceVersion, signal }, ({ type, object }) => {
          if (type === 'ERROR') throw new Error(`the watch was ended: ${object.message}`);
          resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
          if (type === 'ADDED' || type === 'MODIFIED') this.seen.push(object);
        });
      } catch (error) {
        if (!signal.aborted && !isKubeError(error, 'Network')) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#watching;
  }
}
