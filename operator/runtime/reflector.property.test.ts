import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { List, ListOptions, WatchEvent, WatchOptions } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { ConfigMaps } from '../kube/resources.ts';
import type { ConfigMap } from '../kube/wire.ts';
import { Reflector } from './reflector.ts';
import { type Change, isNewer, ObjectStore } from './store.ts';

type Fault =
  /** Ends the running watch as the server does after its timeout. */
  | 'end'
  | 'reset'
  | 'error 410'
  | 'error 500'
  /** Refuses the next requests. */
  | 'refuse 410'
  | 'refuse 429'
  | 'refuse 500'
  | 'refuse network'
  /** Forgets history: watches from before now expire. */
  | 'compact'
  | 'bookmark'
  /** Sends the last event again. */
  | 'duplicate'
  /** The next list stops before it is complete. */
  | 'cut list';

type Action =
  | { readonly type: 'write'; readonly name: string }
  | { readonly type: 'delete'; readonly name: string }
  /** Written by the process under test: the answer reaches the store before, or after, the watch does. */
  | { readonly type: 'own write'; readonly name: string; readonly first: 'answer' | 'event' }
  | { readonly type: 'own delete'; readonly name: string }
  | { readonly type: 'fault'; readonly fault: Fault };

/** A model of one kind in an API server: history, compaction, and nothing else. */
class Model {
  readonly objects = new Map<string, ConfigMap>();
  readonly history: { readonly version: number; readonly event: WatchEvent<ConfigMap> }[] = [];
  version = 10;
  compacted = 0;
  #refusals: KubeError[] = [];
  #cutList = false;
  #watch: { push: (event: WatchEvent<ConfigMap>) => void; end: (error?: unknown) => void } | undefined;
  readonly #streaming: boolean;

  constructor(streaming: boolean) {
    this.#streaming = streaming;
  }

  write(name: string): ConfigMap {
    const type = this.objects.has(name) ? 'MODIFIED' : 'ADDED';
    this.version += 1;
    const uid = this.objects.get(name)?.metadata.uid ?? `uid-${this.version}`;
    const object: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'ns', uid, resourceVersion: String(this.version) },
    };
    this.objects.set(name, object);
    this.#record({ type, object });
    return object;
  }

  delete(name: string): ConfigMap | undefined {
    const object = this.objects.get(name);
    if (object === undefined) return undefined;
    this.version += 1;
    this.objects.delete(name);
    this.#record({ type: 'DELETED', object: { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } } });
    return object;
  }

  inject(fault: Fault): void {
    const last = this.history.at(-1);
    if (fault === 'end') this.#watch?.end();
    if (fault === 'reset') this.#watch?.end(new KubeError('Network', 'reset'));
    if (fault === 'error 410') this.#watch?.push({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    if (fault === 'error 500') this.#watch?.push({ type: 'ERROR', object: { code: 500, reason: 'InternalError' } });
    if (fault === 'refuse 410') this.#refuse(new KubeError('Expired', 'gone', { status: 410 }));
    if (fault === 'refuse 429') this.#refuse(new KubeError('TooManyRequests', 'slow', { status: 429, retryAfter: 1000 }));
    if (fault === 'refuse 500') this.#refuse(new KubeError('InternalError', 'boom', { status: 500 }));
    if (fault === 'refuse network') this.#refuse(new KubeError('Network', 'refused'));
    if (fault === 'compact') this.compacted = this.version;
    if (fault === 'bookmark') this.#watch?.push(this.#bookmark(false));
    if (fault === 'duplicate' && last !== undefined) this.#watch?.push(last.event);
    if (fault === 'cut list') this.#cutList = true;
  }

  readonly client = {
    list: <T extends KubeObject>(_: Resource<T>, options: ListOptions = {}): Promise<List<T>> => {
      const refusal = this.#refusals.shift();
      if (refusal !== undefined) return Promise.reject(refusal);
      const items = [...this.objects.values()].map((object) => structuredClone(object)) as unknown as T[];
      // Pages of a snapshot: the second page is not older than the first.
      const half = Math.ceil(items.length / 2);
      const version = String(this.version);
      if (options.continue === undefined && items.length > 1) {
        return Promise.resolve({
          items: items.slice(0, half),
          resourceVersion: version,
          continue: JSON.stringify([items.slice(half), version]),
        });
      }
      if (options.continue !== undefined) {
        const [rest, at] = JSON.parse(options.continue) as [T[], string];
        if (this.#cutList) {
          this.#cutList = false;
          return Promise.reject(new KubeError('Expired', 'the continue token is too old', { status: 410 }));
        }
        return Promise.resolve({ items: rest, resourceVersion: at });
      }
      return Promise.resolve({ items, resourceVersion: version });
    },
    watch: <T extends KubeObject>(_: Resource<T>, options: WatchOptions, onEvent: (event: WatchEvent<T>) => void): Promise<void> => {
      const refusal = this.#refusals.shift();
      if (refusal !== undefined) return Promise.reject(refusal);
      if (options.sendInitialEvents === true && !this.#streaming)
        return Promise.reject(new KubeError('Invalid', 'unsupported', { status: 422 }));
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const end = (error?: unknown): void => {
        if (this.#watch?.end === end) this.#watch = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      const push = (event: WatchEvent<ConfigMap>): void => {
        try {
          onEvent(structuredClone(event) as unknown as WatchEvent<T>);
        } catch (error) {
          end(error);
        }
      };
      options.signal?.addEventListener('abort', () => end(options.signal?.reason));
      this.#watch = { push, end };
      if (options.sendInitialEvents === true) {
        for (const object of this.objects.values()) push({ type: 'ADDED', object });
        if (this.#cutList) {
          this.#cutList = false;
          end(new KubeError('Network', 'cut'));
        } else push(this.#bookmark(true));
      } else {
        const from = Number(options.resourceVersion);
        if (from < this.compacted) push({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
        else for (const { version, event } of this.history) if (version > from) push(event);
      }
      return promise;
    },
  };

  #refuse(error: KubeError): void {
    this.#refusals.push(error);
    this.#watch?.end();
  }

  #bookmark(end: boolean): WatchEvent<ConfigMap> {
    const annotations = end ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    return {
      type: 'BOOKMARK',
      object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '', resourceVersion: String(this.version), ...annotations } },
    };
  }

  #record(event: WatchEvent<ConfigMap>): void {
    this.history.push({ version: this.version, event });
    this.#watch?.push(event);
  }
}

const names = fc.constantFrom('a', 'b', 'c');
const faults = fc.constantFrom<Fault>(
  'end',
  'reset',
  'error 410',
  'error 500',
  'refuse 410',
  'refuse 429',
  'refuse 500',
  'refuse network',
  'compact',
  'bookmark',
  'duplicate',
  'cut list',
);
const actions: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('write' as const), name: names }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), name: names }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('own write' as const),
      name: names,
      first: fc.constantFrom('answer' as const, 'event' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('own delete' as const), name: names }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('fault' as const), fault: faults }) },
);

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

async function check(streaming: boolean, steps: readonly (readonly Action[])[]): Promise<void> {
  const model = new Model(streaming);
  model.write('a');
  const store = new ObjectStore<ConfigMap>('configmaps');
  const known = new Map<string, ConfigMap>();
  let running = false;
  store.subscribe(({ key, old, new: next }: Change<ConfigMap>) => {
    expect(running, 'listeners run one at a time').toBe(false);
    running = true;
    expect(old, 'the old object is the one told before').toBe(known.get(key));
    if (old !== undefined && next !== undefined && old.metadata.uid === next.metadata.uid) {
      expect(isNewer(next.metadata.resourceVersion ?? '', old.metadata.resourceVersion), 'objects of a key grow newer').toBe(true);
    }
    if (next === undefined) known.delete(key);
    else known.set(key, next);
    running = false;
  });
  const stop = new AbortController();
  const clock = { now: () => 0, random: () => 0, sleep: turn };
  const reflecting = new Reflector({ client: model.client, resource: ConfigMaps, store, clock }).run(stop.signal);

  for (const burst of steps) {
    for (const action of burst) {
      if (action.type === 'write') model.write(action.name);
      if (action.type === 'delete') model.delete(action.name);
      if (action.type === 'fault') model.inject(action.fault);
      if (action.type === 'own write') {
        if (action.first === 'event') store.written(structuredClone(model.write(action.name)));
        else {
          // The answer arrives while no watch runs to bring the event first.
          model.inject('reset');
          store.written(structuredClone(model.write(action.name)));
        }
      }
      if (action.type === 'own delete') {
        model.inject('reset');
        const object = model.delete(action.name);
        if (object !== undefined) store.removed(`ns/${action.name}`, object.metadata.uid ?? '');
      }
    }
    await turn();
  }
  for (let quiet = 0; quiet < 60; quiet++) await turn();

  const versions = (objects: Iterable<ConfigMap>) =>
    [...objects].map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).toSorted();
  expect(versions(store.values()), 'the store equals the server').toEqual(versions(model.objects.values()));
  expect(versions(known.values()), 'every difference was told').toEqual(versions(model.objects.values()));
  expect(store.synced).toBe(true);
  stop.abort();
  await reflecting;
}

for (const streaming of [true, false]) {
  it(`equals the server after any faults once these are over (${streaming ? 'streamed' : 'paged'} lists)`, async () => {
    const steps = fc.array(fc.array(actions, { maxLength: 4 }), { maxLength: 15 });
    await fc.assert(
      fc.asyncProperty(steps, (list) => check(streaming, list)),
      { numRuns: 300 },
    );
  }, 60_000);
}
