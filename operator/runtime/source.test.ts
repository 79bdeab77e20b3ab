import { describe, expect, it } from 'vitest';
import type { KubeObject, ObjectMeta } from '../kube/object.ts';
import { changedAsKept, Channel, changedBySomebody, mapped, owned, ownedAcross, primary, type Source, whenServed } from './source.ts';
import { UID_INDEX, uidIndex } from './ownership.ts';
import { ObjectStore } from './store.ts';

interface Thing extends KubeObject {
  readonly ref?: string;
}
const thing = (version: number, metadata: Partial<ObjectMeta> = {}, ref?: string): Thing => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'a', namespace: 'ns', uid: '1', generation: 1, resourceVersion: String(version), ...metadata },
  ...(ref !== undefined && { ref }),
});
function started(make: (store: ObjectStore<Thing>) => Source, seed: readonly Thing[] = []) {
  const store = new ObjectStore<Thing>('things');
  for (const object of seed) store.set(object);
  const woken: string[] = [];
  const stop = make(store).start((key, options) => woken.push(options?.priority === 'low' ? `${key} low` : key));
  return { store, woken, stop };
}
const controller = (name: string) => ({ ownerReferences: [{ apiVersion: 'v1', kind: 'Owner', name, uid: name, controller: true }] });

describe('primary', () => {
  it('wakes what exists at low priority, changes at once, status changes not at all', () => {
    const { store, woken } = started(primary, [thing(1)]);
    store.set(thing(2));
    store.set(thing(3, { generation: 2 }));
    store.delete(thing(4));
    expect(woken).toEqual(['ns/a low', 'ns/a', 'ns/a']);
  });

  it('wakes nothing once stopped', () => {
    const { store, woken, stop } = started(primary);
    stop();
    store.set(thing(1));
    expect(woken).toEqual([]);
  });
});

describe('changedBySomebody', () => {
  const cases: Record<string, [metadata: Partial<ObjectMeta>, accepted: boolean]> = {
    'a new generation': [{ generation: 2 }, true],
    'a deletion': [{ deletionTimestamp: 'now' }, true],
    'a label': [{ labels: { a: 'b' } }, true],
    'an annotation': [{ annotations: { a: 'b' } }, true],
    'a finalizer': [{ finalizers: ['a'] }, true],
    'another object of the name': [{ uid: '2' }, true],
    'a status': [{}, false],
    'empty labels': [{ labels: {} }, false],
  };
  for (const [name, [metadata, accepted]] of Object.entries(cases)) {
    it(`${accepted ? 'accepts' : 'ignores'} ${name}`, () => {
      expect(changedBySomebody({ key: 'ns/a', old: thing(1), new: thing(2, metadata), initial: false, written: false })).toBe(accepted);
    });
  }
});

describe('owned', () => {
  it('wakes the controller, not for what we wrote ourselves', () => {
    const { store, woken } = started((things) => owned(things, 'Owner'));
    store.written(thing(1, controller('o')));
    store.set(thing(2, controller('o')));
    store.delete(thing(3, controller('o')));
    expect(woken).toEqual(['ns/o', 'ns/o', 'ns/o']);
  });

  it('wakes both when a child changes hands, and nobody of another kind', () => {
    const { store, woken } = started((things) => owned(things, 'Owner'));
    store.set(thing(1, controller('o')));
    store.set(thing(2, controller('p')));
    store.set(thing(3, { name: 'b', ownerReferences: [{ apiVersion: 'v1', kind: 'Other', name: 'x', uid: 'x', controller: true }] }));
    expect(woken).toEqual(['ns/o', 'ns/o', 'ns/p']);
  });
});

describe('changedAsKept', () => {
  const cases: Record<string, [next: Thing | undefined, accepted: boolean]> = {
    'a label': [thing(2, { labels: { a: 'b' } }), true],
    'another content': [thing(2, {}, 'x'), true],
    'a deletion': [undefined, true],
    'a version alone': [thing(2), false],
  };
  for (const [name, [next, accepted]] of Object.entries(cases)) {
    it(`${accepted ? 'accepts' : 'ignores'} ${name}`, () => {
      expect(changedAsKept({ key: 'ns/a', old: thing(1), new: next, initial: false, written: false })).toBe(accepted);
    });
  }
});

it('ownedAcross wakes the owner that the annotation names, wherever it is', () => {
  const owners = new ObjectStore<Thing>('owners', { indexes: { [UID_INDEX]: uidIndex } });
  owners.set(thing(1, { name: 'o', uid: '7' }));
  const { store, woken } = started((things) => ownedAcross(things, 'applied', owners));
  store.set(thing(1, { namespace: 'elsewhere', annotations: { applied: '7.abc' } }));
  store.set(thing(2, { namespace: 'elsewhere', name: 'b', annotations: { applied: '8.abc' } }));
  expect(woken).toEqual(['ns/o']);
});

describe('mapped', () => {
  it('wakes both sides when a reference moves', () => {
    const { store, woken } = started((things) => mapped(things, ({ ref }) => (ref === undefined ? [] : [ref])));
    store.set(thing(1, {}, 'x'));
    store.set(thing(2, {}, 'y'));
    expect(woken).toEqual(['x', 'x', 'y']);
  });
});

it('whenServed wakes all when an optional kind comes and goes', () => {
  const { store, woken } = started((things) => whenServed(things, () => ['a', 'b']));
  store.markServed(true);
  store.markServed(true);
  store.markServed(false);
  expect(woken).toEqual(['a', 'b', 'a', 'b']);
});

it('a channel wakes from outside, once started', () => {
  const channel = new Channel();
  channel.wake('early');
  const woken: string[] = [];
  channel.start((key) => woken.push(key));
  channel.wake('a');
  expect(woken).toEqual(['a']);
});
