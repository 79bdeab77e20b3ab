import { describe, expect, it } from 'vitest';
import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import { isOrphan, takeover } from './adoption.ts';

const labels = { 'managed-by': 'us', owner: 'e' };
const object = (metadata: Partial<ObjectMeta>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'ns', ...metadata },
});
const wish = object({ labels });
const reference = { apiVersion: 'v1', kind: 'Echo', name: 'e', uid: 'dead', controller: true };
const annotations = { applied: 'dead.0123' };

describe('an orphan', () => {
  const cases: Record<string, [metadata: Partial<ObjectMeta>, orphan: boolean]> = {
    'is what a backup brings back': [{ labels, annotations }, true],
    'may have labels of the backup': [{ labels: { ...labels, 'velero.io/restore-name': 'r' }, annotations }, true],
    'is nothing that has an owner, though that may be gone: the garbage collector knows': [
      { labels, annotations, ownerReferences: [reference] },
      false,
    ],
    'is nothing whose owner lives': [{ labels, annotations: { applied: 'living.0123' } }, false],
    'is nothing without the labels of the wish': [{ labels: { 'managed-by': 'us', owner: 'f' }, annotations }, false],
    'is nothing that was never applied by us': [{ labels }, false],
  };
  for (const [sentence, [metadata, orphan]] of Object.entries(cases))
    it(sentence, () => expect(isOrphan(object(metadata), wish, 'applied', (uid) => uid === 'living')).toBe(orphan));
});

describe('a takeover', () => {
  const entry = (manager: string, fieldsV1: unknown, more = {}) => ({
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...more,
  });
  const status = entry('kubelet', { 'f:status': {} }, { subresource: 'status' });
  const live = object({
    resourceVersion: '7',
    managedFields: [
      entry('velero', { 'f:data': { '.': {}, 'f:a': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } }),
      entry('kubectl', { 'f:data': { 'f:b': {} } }),
      entry('old', { 'f:other': {} }, { apiVersion: 'v1beta1' }),
      status,
    ],
  });

  it('makes all fields ours but those of subresources, in the version that was read', () => {
    expect(takeover(live, 'us')).toEqual([
      { op: 'test', path: '/metadata/resourceVersion', value: '7' },
      {
        op: 'add',
        path: '/metadata/managedFields',
        value: [
          {
            manager: 'us',
            operation: 'Apply',
            apiVersion: 'v1',
            fieldsType: 'FieldsV1',
            fieldsV1: { 'f:data': { '.': {}, 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
          },
          status,
        ],
      },
    ]);
  });
});
