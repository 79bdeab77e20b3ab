import { describe, expect, it } from 'vitest';
import type { KubeObject, ManagedFieldsEntry, ObjectMeta } from '../kube/object.ts';
import { compactManagers, foreignManagers, NameConflict, ownerFrom, ownerUidOf, ownsField } from './ownership.ts';

const object = (metadata: Partial<ObjectMeta>): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'a', namespace: 'ns', ...metadata },
});
const reference = (uid: string, controller: boolean) => ({ apiVersion: 'v1', kind: 'Echo', name: 'e', uid, controller });

describe('ownerUidOf', () => {
  const cases: Record<string, [metadata: Partial<ObjectMeta>, uid: string | undefined]> = {
    'the controller': [{ ownerReferences: [reference('1', false), reference('2', true)] }, '2'],
    'the controller rather than a copied annotation': [{ ownerReferences: [reference('2', true)], annotations: { applied: '3.abc' } }, '2'],
    'the annotation where the reference was removed': [{ annotations: { applied: '3.abc' } }, '3'],
    nobody: [{ ownerReferences: [reference('1', false)] }, undefined],
  };
  for (const [name, [metadata, uid]] of Object.entries(cases)) {
    it(`is that of ${name}`, () => {
      expect(ownerUidOf(object(metadata), 'applied')).toBe(uid);
    });
  }
});

it('an owner must have been stored', () => {
  expect(() => ownerFrom(object({}))).toThrow('no uid');
  expect(ownerFrom(object({ uid: '1' })).reference).toMatchObject({ controller: true, blockOwnerDeletion: true, uid: '1' });
});

it('a conflict of names says who is in the way', () => {
  const conflict = new NameConflict(object({ ownerReferences: [reference('9', true)] }));
  expect(conflict.message).toBe('Deployment ns/a exists and belongs to Echo e');
  expect(conflict).toMatchObject({ kind: 'Deployment', key: 'ns/a', heldBy: 'Echo e', after: 60_000 });
});

describe('foreignManagers', () => {
  const template = (fields: object) => ({ 'f:spec': { 'f:template': fields } });
  const annotations = (...names: string[]) => ({
    'f:metadata': { 'f:annotations': { '.': {}, ...Object.fromEntries(names.map((name) => [`f:${name}`, {}])) } },
  });
  const entry = (manager: string, fieldsV1: unknown, subresource?: string): ManagedFieldsEntry => ({
    manager,
    operation: 'Update',
    fieldsV1,
    ...(subresource !== undefined && { subresource }),
  });
  const cases: Record<string, [entries: ManagedFieldsEntry[], found: string[]]> = {
    'nobody where only we manage': [[entry('us', template({ 'f:spec': {} }))], []],
    'whoever sets a field of the template': [
      [entry('kubectl-edit', template({ 'f:spec': { 'f:priorityClassName': {} } }))],
      ['kubectl-edit'],
    ],
    'nobody for kubectl rollout restart': [[entry('kubectl-rollout', template(annotations('kubectl.kubernetes.io/restartedAt')))], []],
    'whoever adds another annotation as well': [
      [entry('x', template(annotations('kubectl.kubernetes.io/restartedAt', 'sidecar.istio.io/inject')))],
      ['x'],
    ],
    'nobody for replicas': [[entry('kube-controller-manager', { 'f:spec': { 'f:replicas': {} } }, 'scale')], []],
    'nobody for status': [[entry('kube-controller-manager', { 'f:status': {} }, 'status')], []],
    'each once, by name': [
      [entry('z', template({ 'f:spec': {} })), entry('a', template({ 'f:spec': {} })), entry('z', template({ 'f:metadata': {} }))],
      ['a', 'z'],
    ],
  };
  for (const [name, [managedFields, found]] of Object.entries(cases)) {
    it(`names ${name}`, () => {
      expect(foreignManagers(object({ managedFields }), { own: ['us'] })).toEqual(found);
    });
    it(`names ${name}, also from what the store keeps`, () => {
      expect(foreignManagers(compactManagers(['us'])(object({ managedFields })), { own: ['us'] })).toEqual(found);
    });
  }

  it('keeps in the store whether we hold the replicas', () => {
    const managedFields = [entry('us', { 'f:spec': { 'f:replicas': {}, 'f:template': {} } }), entry('kcm', { 'f:status': {} }, 'status')];
    const kept = compactManagers(['us'])(object({ managedFields }));
    expect(kept.metadata.managedFields).toHaveLength(1);
    expect(ownsField(kept, 'us', ['spec', 'replicas'])).toBe(true);
    expect(ownsField(kept, 'us', ['spec', 'template'])).toBe(false);
  });
});
