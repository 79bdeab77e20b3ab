import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, events, reset, ScriptedServer, type Script, status } from '../kube/testing/scripted-server.ts';
import { ConfigMaps } from '../kube/resources.ts';
import type { ConfigMap } from '../kube/wire.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { ObjectStore } from './store.ts';

const configMap = (name: string, version: number): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: String(version) },
});
const added = (name: string, version: number) => ({ type: 'ADDED', object: configMap(name, version) });
const modified = (name: string, version: number) => ({ type: 'MODIFIED', object: configMap(name, version) });
const deleted = (name: string, version: number) => ({ type: 'DELETED', object: configMap(name, version) });
const bookmark = (version: number, end = false) => ({
  type: 'BOOKMARK',
  object: {
    kind: 'ConfigMap',
    metadata: { resourceVersion: String(version), ...(end && { annotations: { 'k8s.io/initial-events-end': 'true' } }) },
  },
});
const failed = (code: number, reason: string, message = '') => ({ type: 'ERROR', object: status(code, reason, message) });
const streamed = (...list: readonly unknown[]): Script => events([...list, bookmark(100, true)]);
const list = (items: ConfigMap[], version: number, more?: string): Script =>
  answer(200, {
    kind: 'ConfigMapList',
    metadata: { resourceVersion: String(version), ...(more !== undefined && { continue: more }) },
    items,
  });

describe('Reflector', () => {
  let server: ScriptedServer;
  let store: ObjectStore<ConfigMap>;
  let changes: string[];
  let waits: number[];
  let stop: AbortController;
  let running: Promise<void>;
  let close: () => Promise<void>;

  beforeEach(async () => {
    server = await ScriptedServer.start();
    server.otherwise = events([]);
    store = new ObjectStore('configmaps');
    changes = [];
    waits = [];
    store.subscribe(({ key, old, new: next }) => {
      changes.push(`${key} ${old?.metadata.resourceVersion ?? '-'}→${next?.metadata.resourceVersion ?? '-'}`);
    });
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await running;
    await close();
    await server[Symbol.asyncDispose]();
  });

  /** Runs until `requests` have arrived. The clock stands still but for what a test adds; waits are over at once. */
  async function run(requests: number, options: Partial<ReflectorOptions<ConfigMap>> & { watchIdle?: number; now?: () => number } = {}) {
    const { watchIdle = 60_000, now = () => 0, ...rest } = options;
    const { client, transport } = server.client({ watchIdle, retries: 0 });
    close = () => transport.close();
    const clock = {
      now,
      random: () => 0,
      sleep: async (milliseconds: number) => {
        waits.push(milliseconds);
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      },
    };
    running = new Reflector({ client, resource: ConfigMaps, store, clock, ...rest }).run(stop.signal);
    await server.arrived(requests);
  }
  /** What the nth request asked for. */
  const asked = (index: number) => Object.fromEntries(server.requests[index]?.query ?? []);

  it('streams the list and goes on watching on the same connection', async () => {
    server.scripts.push(events([added('a', 1), added('b', 2), bookmark(5, true), modified('a', 6), deleted('b', 7), bookmark(9)], 'end'));
    await run(2);
    expect(asked(0)).toMatchObject({
      watch: 'true',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    expect(asked(1)).toMatchObject({ watch: 'true', resourceVersion: '9' });
    expect(asked(1)).not.toHaveProperty('sendInitialEvents');
    expect(changes).toEqual(['ns/a -→1', 'ns/b -→2', 'ns/a 1→6', 'ns/b 2→-']);
    expect(store.synced).toBe(true);
    expect(waits).toEqual([]);
  });

  it('asks for watches that end by themselves after 5 to 10 minutes', async () => {
    await run(1);
    expect(Number(asked(0)['timeoutSeconds'])).toBe(300);
  });

  it('shows nothing of a list that is not complete', async () => {
    server.scripts.push(events([added('a', 1), bookmark(3)], 'reset'));
    await run(2);
    expect(changes).toEqual([]);
    expect(store.synced).toBe(false);
    expect(asked(1)).toHaveProperty('sendInitialEvents');
  });

  it('keeps what it has while a new list is on its way, and then tells differences only', async () => {
    server.scripts.push(
      events([added('a', 1), added('b', 2), added('c', 3), bookmark(5, true), failed(410, 'Expired')]),
      events([added('a', 1), added('b', 8)]),
    );
    await run(2);
    expect([...store.keys()]).toEqual(['ns/a', 'ns/b', 'ns/c']);
    expect(changes).toHaveLength(3);
    stop.abort();
    await running;
    await close();

    stop = new AbortController();
    server.scripts.push(events([added('a', 1), added('b', 8), bookmark(9, true)], 'end'));
    await run(4);
    expect(changes.slice(3)).toEqual(['ns/c 3→-', 'ns/b 2→8']);
  });

  const relists: Record<string, Script> = {
    'an event that says 410': events([failed(410, 'Expired', 'too old')]),
    'an event that says Gone': events([failed(410, 'Gone', 'too old')]),
    'a status 410': answer(410, status(410, 'Expired', 'too old')),
  };
  for (const [name, script] of Object.entries(relists)) {
    it(`lists again after ${name}`, async () => {
      server.scripts.push(events([added('a', 1), bookmark(5, true)], 'end'), script, streamed(added('a', 1)));
      await run(3);
      expect(asked(1)).toMatchObject({ resourceVersion: '5' });
      expect(asked(2)).toHaveProperty('sendInitialEvents');
      expect(asked(2)).not.toHaveProperty('resourceVersion');
    });
  }

  const rewatches: Record<string, Script> = {
    'HTTP 500': answer(500, status(500, 'InternalError', 'boom')),
    'HTTP 502 from a proxy': answer(502, 'Bad gateway'),
    'a broken connection': reset,
    'an event that says 500': events([failed(500, 'InternalError')]),
    'an event cut in two': events(['{"type":"MODIFIED","object":{"metada'], 'reset'),
    garbage: events(['<html>\n']),
  };
  for (const [name, script] of Object.entries(rewatches)) {
    it(`goes on from the last version after ${name}`, async () => {
      server.scripts.push(events([added('a', 1), bookmark(5, true), modified('a', 7)], 'end'), script);
      await run(3);
      expect(asked(2)).toMatchObject({ resourceVersion: '7' });
      expect(asked(2)).not.toHaveProperty('sendInitialEvents');
      expect([...store.keys()]).toEqual(['ns/a']);
      expect(waits).toEqual([800]);
    });
  }

  it('obeys Retry-After and does not list again', async () => {
    const slow = answer(429, status(429, 'TooManyRequests', 'slow'), { 'retry-after': '7' });
    server.scripts.push(events([added('a', 1), bookmark(5, true)], 'end'), slow);
    await run(3);
    expect(waits).toEqual([7000]);
    expect(asked(2)).toMatchObject({ resourceVersion: '5' });
  });

  it('backs off from 0.8 s to 30 s while nothing works, and never gives up', async () => {
    server.scripts.push(...Array.from({ length: 9 }, () => answer(500, status(500, 'InternalError', 'no'))));
    await run(10);
    expect(waits).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
  });

  it('asks a server that does not answer at all more often, so that an outage ends for all caches at once', async () => {
    server.scripts.push(...Array.from({ length: 4 }, () => reset));
    const refusals = Array.from({ length: 2 }, () => answer(403, status(403, 'Forbidden', 'RBAC is not there yet')));
    server.scripts.push(...refusals);
    await run(7);
    expect(waits).toEqual([800, 1600, 3000, 3000, 800, 1600]);
  });

  it('begins its backoff anew after two quiet minutes', async () => {
    let now = 0;
    server.scripts.push(reset, reset, (response, request) => {
      now = 200_000;
      reset(response, request);
    });
    await run(4, { now: () => now });
    expect(waits).toEqual([800, 1600, 800]);
  });

  it('takes a watch that ends at once without an event for none', async () => {
    server.scripts.push(events([bookmark(5, true)], 'end'), events([], 'end'), events([], 'end'));
    await run(4);
    expect(waits).toEqual([800, 1600]);
    expect(asked(3)).toMatchObject({ resourceVersion: '5' });
  });

  it('watches again at once when a watch ends as it should', async () => {
    let now = 0;
    server.scripts.push(events([bookmark(5, true)], 'end'), (response, request) => {
      now = 400_000;
      events([], 'end')(response, request);
    });
    await run(3, { now: () => now });
    expect(waits).toEqual([]);
  });

  it('takes a silent peer for dead and loses nothing', async () => {
    server.scripts.push(events([added('a', 1), bookmark(5, true), modified('a', 6)], 'stall'), events([modified('a', 8), bookmark(9)]));
    await run(2, { watchIdle: 200 });
    expect(asked(1)).toMatchObject({ resourceVersion: '6' });
    await expect.poll(() => store.get('ns/a')?.metadata.resourceVersion).toBe('8');
  });

  it('tells an event that comes twice once', async () => {
    server.scripts.push(
      events([added('a', 1), bookmark(5, true), modified('a', 6), modified('a', 6), deleted('a', 7), deleted('a', 7)], 'end'),
    );
    await run(2);
    expect(changes).toEqual(['ns/a -→1', 'ns/a 1→6', 'ns/a 6→-']);
  });

  describe('where lists cannot be streamed', () => {
    const unsupported: Record<string, Script> = {
      'a server that refuses the option': answer(
        422,
        status(422, 'Invalid', 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled'),
      ),
      'a server that knows no such option': answer(400, status(400, 'BadRequest', 'unknown')),
      'a storage without progress requests': events([
        failed(500, 'InternalError', 'required storage feature RequestWatchProgress is disabled'),
      ]),
    };
    for (const [name, script] of Object.entries(unsupported)) {
      it(`pages instead, for good (${name})`, async () => {
        server.scripts.push(
          script,
          list([configMap('a', 1)], 5, 'more'),
          list([configMap('b', 2)], 5),
          events([failed(410, 'Expired')]),
          list([configMap('b', 2)], 9),
        );
        await run(6);
        expect(asked(1)).toEqual({ limit: '500' });
        expect(asked(2)).toEqual({ limit: '500', continue: 'more' });
        expect(asked(3)).toMatchObject({ watch: 'true', resourceVersion: '5' });
        expect(asked(4)).toEqual({ limit: '500' });
        expect(asked(5)).toMatchObject({ watch: 'true', resourceVersion: '9' });
        expect(changes).toEqual(['ns/a -→1', 'ns/b -→2', 'ns/a 1→-']);
      });
    }

    it('begins anew when a page has expired', async () => {
      const refused = answer(400, status(400, 'BadRequest', 'unknown'));
      const expired = answer(410, status(410, 'Expired', 'continue'));
      server.scripts.push(refused, list([configMap('a', 1)], 5, 'more'), expired, list([configMap('c', 3)], 7));
      await run(5);
      expect(asked(3)).toEqual({ limit: '500' });
      expect([...store.keys()]).toEqual(['ns/c']);
    });
  });

  describe('of a kind that may be missing', () => {
    it('counts as complete and empty, and appears when the kind does', async () => {
      const missing = answer(404, '404 page not found');
      const served: boolean[] = [];
      store.onServed((now) => served.push(now));
      server.scripts.push(missing, missing, events([added('a', 1), bookmark(5, true)], 'end'));
      await run(3, { optional: true, absentInterval: 5000 });
      await server.arrived(4);
      expect(waits).toEqual([4500, 4500]);
      expect([store.synced, ...served]).toEqual([true, true]);
      expect([...store.keys()]).toEqual(['ns/a']);
    });

    it('loses its objects when the kind goes', async () => {
      server.scripts.push(events([added('a', 1), bookmark(5, true)], 'end'), answer(404, '404 page not found'));
      await run(3, { optional: true });
      expect(changes).toEqual(['ns/a -→1', 'ns/a 1→-']);
      expect(store.served).toBe(false);
    });

    it('is not complete while rights are missing, and goes on asking', async () => {
      server.scripts.push(
        answer(403, status(403, 'Forbidden', 'no')),
        answer(403, status(403, 'Forbidden', 'no')),
        events([bookmark(5, true)], 'end'),
      );
      await run(3, { optional: true });
      await server.arrived(4);
      expect(waits).toEqual([800, 1600]);
      expect(store.synced).toBe(true);
    });
  });

  it('asks for one namespace, by selectors, and for metadata alone', async () => {
    const partial = { ...configMap('a', 1), kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
    server.scripts.push(events([{ type: 'ADDED', object: partial }, bookmark(5, true)], 'end'));
    await run(2, { namespace: 'team', labelSelector: 'a=b', fieldSelector: 'metadata.name=x', metadataOnly: true });
    expect(server.requests[0]?.path).toBe('/api/v1/namespaces/team/configmaps');
    expect(asked(0)).toMatchObject({ labelSelector: 'a=b', fieldSelector: 'metadata.name=x' });
    expect(server.requests[0]?.headers.accept).toMatch(/^application\/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1/);
    expect(store.get('ns/a')).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  });

  it('drops managed fields, unless a transform keeps them', async () => {
    const managed = { ...configMap('a', 1), metadata: { ...configMap('a', 1).metadata, managedFields: [{ manager: 'x' }] } };
    server.scripts.push(events([{ type: 'ADDED', object: managed }, bookmark(5, true)], 'end'));
    await run(2);
    expect(store.get('ns/a')?.metadata.managedFields).toBeUndefined();
    stop.abort();
    await running;
    await close();

    stop = new AbortController();
    store = new ObjectStore('configmaps');
    server.scripts.push(events([{ type: 'ADDED', object: managed }, bookmark(5, true)], 'end'));
    await run(4, { transform: (object) => object });
    expect(store.get('ns/a')?.metadata.managedFields).toHaveLength(1);
  });
});
