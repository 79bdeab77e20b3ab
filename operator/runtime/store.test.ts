import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/object.ts';
import { type Change, isNewer, ObjectStore } from './store.ts';

interface Thing extends KubeObject {
  readonly refs: readonly string[];
}

const thing = (name: string, version: number, overrides: { uid?: string; refs?: string[]; namespace?: string } = {}): Thing => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, namespace: overrides.namespace ?? 'ns', uid: overrides.uid ?? `uid-${name}`, resourceVersion: String(version) },
  refs: overrides.refs ?? [],
});

function open(options: ConstructorParameters<typeof ObjectStore<Thing>>[1] = {}) {
  const store = new ObjectStore<Thing>('things', { indexes: { ref: ({ refs }) => refs }, ...options });
  const seen: string[] = [];
  store.subscribe(({ key, old, new: next, initial, written }: Change<Thing>) => {
    const marks = `${initial ? ' initial' : ''}${written ? ' written' : ''}`;
    seen.push(`${key} ${old?.metadata.resourceVersion ?? '-'}→${next?.metadata.resourceVersion ?? '-'}${marks}`);
  });
  return { store, seen };
}

const all = (...things: Thing[]) => new Map(things.map((object) => [`${object.metadata.namespace}/${object.metadata.name}`, object]));

describe('ObjectStore', () => {
  it('tells the differences of a list, also what is gone, and nothing of what stayed', () => {
    const { store, seen } = open();
    store.replace(all(thing('a', 1), thing('b', 2), thing('c', 3)), '3');
    store.markSynced();
    store.replace(all(thing('a', 1), thing('b', 5)), '6');
    expect(seen).toEqual(['ns/a -→1 initial', 'ns/b -→2 initial', 'ns/c -→3 initial', 'ns/c 3→-', 'ns/b 2→5']);
  });

  it('keeps of an answer to a write what reflectors keep of an object', () => {
    const { store } = open();
    const answer = thing('a', 1);
    store.written({ ...answer, metadata: { ...answer.metadata, managedFields: [{ manager: 'me', fieldsV1: {} }] } });
    expect(store.get('ns/a')?.metadata.managedFields).toBeUndefined();
    const slim = open({ transform: (object) => ({ ...object, refs: [] }) });
    slim.store.written(thing('a', 1, { refs: ['x'] }));
    expect(slim.store.get('ns/a')?.refs).toEqual([]);
  });

  it('replaces the objects of one namespace without touching others', () => {
    const { store, seen } = open({ parts: 2 });
    store.replace(all(thing('a', 1)), '1', 'ns');
    store.markSynced('ns');
    expect(store.synced).toBe(false);
    store.replace(all(thing('a', 2, { namespace: 'other' })), '2', 'other');
    store.markSynced('other');
    expect(store.synced).toBe(true);
    store.replace(all(), '3', 'other');
    expect(seen).toEqual(['ns/a -→1 initial', 'other/a -→2 initial', 'other/a 2→-']);
  });

  it('shows the present to a late subscriber', () => {
    const { store } = open();
    store.set(thing('a', 1));
    const seen: unknown[] = [];
    const end = store.subscribe((change) => seen.push(change));
    expect(seen).toMatchObject([{ key: 'ns/a', initial: true }]);
    end();
    store.set(thing('a', 2));
    expect(seen).toHaveLength(1);
  });

  it('goes on when a listener throws', () => {
    const errors: unknown[] = [];
    const store = new ObjectStore<Thing>('things', { onListenerError: (error) => errors.push(error) });
    const seen: string[] = [];
    store.subscribe(() => {
      throw new Error('boom');
    });
    store.subscribe(({ key }) => seen.push(key));
    store.set(thing('a', 1));
    expect(seen).toEqual(['ns/a']);
    expect(errors).toEqual([new Error('boom')]);
  });

  it('rejects an index that it does not have', () => {
    expect(() => open().store.by('nothing', 'x')).toThrow('no index nothing');
  });

  it('says when it is synced, or that nobody waits any more', async () => {
    const { store } = open();
    const abort = new AbortController();
    const given = store.whenSynced(abort.signal);
    abort.abort(new Error('late'));
    await expect(given).rejects.toThrow('late');
    const waiting = store.whenSynced();
    store.markSynced();
    await waiting;
    await store.whenSynced();
  });

  it('can make a reader who changes an object fail', () => {
    const { store } = open({ freeze: true });
    store.set(thing('a', 1, { refs: ['x'] }));
    const found = store.get('ns/a') as unknown as { refs: string[]; metadata: { name: string } };
    expect(() => found.refs.push('y')).toThrow(TypeError);
    expect(() => {
      found.metadata.name = 'b';
    }).toThrow(TypeError);
  });

  describe('reading its own writes', () => {
    it('shows a write before the watch brings it, and does not tell it twice', () => {
      const { store, seen } = open();
      store.set(thing('a', 1));
      store.written(thing('a', 5));
      store.set(thing('a', 5));
      expect(seen).toEqual(['ns/a -→1', 'ns/a 1→5 written']);
    });

    it('ignores events that the write has overtaken, and follows later ones', () => {
      const { store } = open();
      store.written(thing('a', 5));
      store.set(thing('a', 3));
      store.delete(thing('a', 4));
      expect(store.get('ns/a')?.metadata.resourceVersion).toBe('5');
      store.set(thing('a', 6));
      expect(store.get('ns/a')?.metadata.resourceVersion).toBe('6');
    });

    it('does not lose a write to a list from before it', () => {
      const { store } = open();
      store.written(thing('a', 5));
      store.replace(all(), '4');
      expect(store.has('ns/a')).toBe(true);
      store.replace(all(), '6');
      expect(store.has('ns/a')).toBe(false);
    });

    it('ignores an answer that the watch has overtaken', () => {
      const { store } = open();
      store.set(thing('a', 7));
      store.written(thing('a', 5));
      expect(store.get('ns/a')?.metadata.resourceVersion).toBe('7');
    });

    it('does not revive by a late answer what the watch has shown and taken away since', () => {
      const { store, seen } = open();
      store.set(thing('a', 5));
      store.delete(thing('a', 6));
      store.written(thing('a', 5));
      expect(store.has('ns/a')).toBe(false);
      expect(seen).toEqual(['ns/a -→5', 'ns/a 5→-']);
      store.replace(all(), '3');
      store.written(thing('a', 4));
      expect(store.has('ns/a'), 'after versions started anew').toBe(true);
    });

    it('does not revive what it removed, but takes a successor of the name', () => {
      const { store } = open();
      store.set(thing('a', 1));
      store.removed('ns/a', 'uid-a');
      store.set(thing('a', 2));
      expect(store.has('ns/a')).toBe(false);
      store.delete(thing('a', 3));
      store.set(thing('a', 4, { uid: 'second' }));
      expect(store.get('ns/a')?.metadata.uid).toBe('second');
    });

    it('ends its memory with the progress of the watch, or after a minute should versions run backwards', () => {
      let now = 0;
      const { store } = open({ now: () => now });
      store.written(thing('a', 5));
      store.progress('5');
      store.set(thing('a', 3));
      expect(store.get('ns/a')?.metadata.resourceVersion).toBe('3');
      store.written(thing('a', 900));
      now = 60_001;
      store.set(thing('a', 4));
      expect(store.get('ns/a')?.metadata.resourceVersion).toBe('4');
    });
  });

  it('finds by index exactly what a search through all objects finds', () => {
    const action = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      refs: fc.subarray(['x', 'y', 'z']),
      type: fc.constantFrom('set', 'delete', 'written', 'removed', 'replace'),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const { store } = open();
        let version = 0;
        for (const { name, refs, type } of actions) {
          version += 1;
          const object = thing(name, version, { refs });
          if (type === 'set') store.set(object);
          if (type === 'delete') store.delete(object);
          if (type === 'written') store.written(object);
          if (type === 'removed') store.removed(`ns/${name}`, `uid-${name}`);
          if (type === 'replace') store.replace(all(object), String(version));
          for (const ref of ['x', 'y', 'z']) {
            const found = store.by('ref', ref).map((item) => item.metadata.name);
            const searched = [...store.values()].filter(({ refs: of }) => of.includes(ref)).map((item) => item.metadata.name);
            expect(found.toSorted()).toEqual(searched.toSorted());
          }
        }
      }),
    );
  });
});

describe('isNewer', () => {
  const cases: [a: string, b: string | undefined, newer: boolean][] = [
    ['2', '1', true],
    ['10', '9', true],
    ['9', '10', false],
    ['90071992547409931', '90071992547409930', true],
    ['5', '5', false],
    ['5', undefined, true],
    ['', undefined, false],
  ];
  for (const [a, b, newer] of cases) {
    it(`${a} ${newer ? 'is' : 'is not'} newer than ${b}`, () => {
      expect(isNewer(a, b)).toBe(newer);
    });
  }
});
