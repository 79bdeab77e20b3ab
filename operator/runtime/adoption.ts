import type { JSONPatch } from '../kube/client.ts';
import type { KubeObject, ManagedFieldsEntry } from '../kube/object.ts';
import { covers } from './covers.ts';
import { annotatedUid } from './ownership.ts';

/**
 * Whether an object is a child whose owner is gone and came back under another uid, as backups bring both: it has the name and labels of the wish, nobody
 * owns it, and the owner that it remembers does not exist. Whatever somebody else made fails one of these.
 */
export function isOrphan(live: KubeObject, wish: KubeObject, annotation: string, lives: (uid: string) => boolean): boolean {
  const { ownerReferences = [], labels = {} } = live.metadata;
  const before = annotatedUid(live, annotation);
  return ownerReferences.length === 0 && before !== undefined && !lives(before) && covers(labels, wish.metadata.labels ?? {});
}

/**
 * Makes `manager` the one who applied all fields of an object, whoever wrote them: its next apply then takes away what it does not ask for. Without this a
 * restored field would belong to the backup tool for ever. `live` needs its `managedFields`.
 */
export function takeover(live: KubeObject, manager: string): JSONPatch {
  const entries = live.metadata.managedFields ?? [];
  const main = entries.filter(({ subresource = '', apiVersion }) => subresource === '' && apiVersion === live.apiVersion);
  const fieldsV1 = main.map((entry) => entry.fieldsV1).reduce<Fields>((sum, fields) => union(sum, (fields ?? {}) as Fields), {});
  const ours: ManagedFieldsEntry = { manager, operation: 'Apply', apiVersion: live.apiVersion, fieldsType: 'FieldsV1', fieldsV1 };
  const others = entries.filter(({ subresource = '' }) => subresource !== '');
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: live.metadata.resourceVersion },
    { op: 'add', path: '/metadata/managedFields', value: [ours, ...others] },
  ];
}

/** FieldsV1: a tree of names, whose leaves are empty. */
interface Fields {
  readonly [name: string]: Fields;
}

function union(a: Fields, b: Fields): Fields {
  const sum: Record<string, Fields> = { ...a };
  for (const [name, fields] of Object.entries(b)) sum[name] = union(sum[name] ?? {}, fields);
  return sum;
}
