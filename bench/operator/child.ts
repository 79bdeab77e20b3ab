import type { PooledClient } from './load.ts';
import { NAMESPACE } from './load.ts';

/** Every kind that a plain MCPServer owns, as the API server addresses it. */
const COLLECTIONS = [
  `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`,
  `/api/v1/namespaces/${NAMESPACE}/services`,
  `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  `/api/v1/namespaces/${NAMESPACE}/configmaps`,
  `/api/v1/namespaces/${NAMESPACE}/secrets`,
  `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`,
  `/api/v1/namespaces/${NAMESPACE}/configmaps`,
  `/api/v1/namespaces/${NAMESPACE}/secrets`,
];

interface Live {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly managedFields: readonly { manager: string; fieldsV1: FieldsV1 }[];
  };
}
type FieldsV1 = { readonly [key: string]: FieldsV1 };

/** A child as the operator asked for it, without anything that the API server added. */
export interface AppliedChild {
  readonly path: string;
  readonly object: unknown;
}

/** All children of the fleet in the order in which they were made. */
export async function children(client: PooledClient): Promise<AppliedChild[]> {
  const found: { readonly version: number; readonly child: AppliedChild }[] = [];
  for (const collection of COLLECTIONS) {
    const list = (await client.send('GET', collection)) as { apiVersion: string; kind: string; items: Live[] };
    const header = { apiVersion: list.apiVersion, kind: list.kind.replace(/List$/, '') };
    for (const live of list.items) {
      const ours = live.metadata.managedFields.find(({ manager }) => manager === 'mcp-fleet-operator');
      if (ours === undefined) continue;
      const { name } = live.metadata;
      const asked = owned(live, ours.fieldsV1) as { metadata: object };
      const object = { ...header, ...asked, metadata: { ...asked.metadata, name, namespace: NAMESPACE } };
      found.push({ version: Number(live.metadata.resourceVersion), child: { path: `${collection}/${name}`, object } });
    }
  }
  return found.toSorted((a, b) => a.version - b.version).map(({ child }) => child);
}

/** The part of `live` that a field manager owns (structured-merge-diff's `fieldsV1`). */
export function owned(live: unknown, fields: FieldsV1): unknown {
  const keys = Object.keys(fields).filter((key) => key !== '.');
  if (keys.length === 0) return live;
  if (Array.isArray(live)) {
    return keys.flatMap((key) => {
      const item: unknown = live.find((candidate: unknown) => matches(candidate, key));
      return item === undefined ? [] : [owned(item, fields[key] ?? {})];
    });
  }
  const object = live as Record<string, unknown>;
  return Object.fromEntries(keys.map((key) => [key.slice(2), owned(object[key.slice(2)], fields[key] ?? {})]));
}

/** `k:{"name":"x"}` is an item by its key, `v:"x"` an item by its value. */
function matches(candidate: unknown, key: string): boolean {
  const wanted: unknown = JSON.parse(key.slice(2));
  if (key.startsWith('v:')) return candidate === wanted;
  const item = candidate as Record<string, unknown>;
  return Object.entries(wanted as Record<string, unknown>).every(([name, value]) => item[name] === value);
}
