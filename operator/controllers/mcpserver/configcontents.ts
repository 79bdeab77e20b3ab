import { createHash } from 'node:crypto';
import type { Client } from '../../kube/client.ts';
import { isKubeError } from '../../kube/errors.ts';
import { type Key, keyOf, type KubeObject } from '../../kube/object.ts';
import { ConfigMaps } from '../../kube/resources.ts';
import type { Reference } from './references.ts';

/** Metadata of a referenced object, from a cache; `undefined` while it does not exist. */
export type FindMetadata = (reference: Reference) => KubeObject | undefined;

/**
 * Digests of what pods read from ConfigMaps and Secrets. Watches hold metadata alone; the content of a ConfigMap is read once per version of it and
 * then forgotten. Of Secrets the version is all that is known: their content is never requested.
 */
export class ConfigContents {
  readonly #client: Client;
  /** By key: the version that was read, and what came of it. */
  readonly #known = new Map<Key, { readonly version: string; readonly digest: string }>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Over all references; `undefined` where nothing is read. What is missing counts, too: its appearance is a change. */
  async digest(
    namespace: string,
    references: readonly Reference[],
    find: FindMetadata,
    rotation: boolean,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const parts = await Promise.all(
      references
        .filter(({ kind, live }) => live !== true && (kind === 'ConfigMap' || (kind === 'Secret' && rotation)))
        .map(async (reference) => [reference.kind, reference.name, await this.#part(namespace, reference, find, signal)]),
    );
    return parts.length === 0 ? undefined : hash(parts);
  }

  forget(key: Key): void {
    this.#known.delete(key);
  }

  async #part(namespace: string, reference: Reference, find: FindMetadata, signal: AbortSignal): Promise<string> {
    const found = find(reference)?.metadata;
    if (found === undefined) return 'absent';
    const version = `${found.uid}.${found.resourceVersion}`;
    if (reference.kind === 'Secret') return version;
    const key = keyOf({ namespace, name: reference.name });
    const known = this.#known.get(key);
    if (known?.version === version) return known.digest;
    try {
      const { data = {}, binaryData = {}, metadata } = await this.#client.get(ConfigMaps, { namespace, name: reference.name }, { signal });
      const digest = hash([entries(data), entries(binaryData)]);
      this.#known.set(key, { version: `${metadata.uid}.${metadata.resourceVersion}`, digest });
      return digest;
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return 'absent';
      throw error;
    }
  }
}

const entries = (record: Readonly<Record<string, string>>) => Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
