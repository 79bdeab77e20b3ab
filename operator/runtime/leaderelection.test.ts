import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer, events, ScriptedServer, type Script, stall, status } from '../kube/testing/scripted-server.ts';
import { ConfigMaps } from '../kube/resources.ts';
import type { Client } from '../kube/client.ts';
import { type LeaderClock, LeaderElector } from './leaderelection.ts';

/** A clock that a test moves; sleepers wake when their time has come. */
class TestClock implements LeaderClock {
  #now = 0;
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();

  readonly now = (): number => this.#now;
  readonly wall = (): Date => new Date(this.#now);
  readonly random = (): number => 0.5;
  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const sleeper = { until: this.#now + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper);
        resolve();
      });
    });

  /** Like a process that is stopped: time passes, and nobody notices before `settle`. */
  pause(milliseconds: number): void {
    this.#now += milliseconds;
  }

  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = [...this.#sleepers].filter(({ until }) => until <= end).toSorted((a, b) => a.until - b.until)[0];
      if (next === undefined) break;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.until);
      next.wake();
      await this.settle();
    }
    this.#now = end;
    await this.settle();
  }

  /** Lets requests on the loopback come and go. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
  }
}

/** Stores nothing but the last lease it was sent. */
function leaseServer(server: ScriptedServer, initial?: object) {
  const state = {
    version: 1,
    spec: initial as Record<string, unknown> | undefined,
    writes: [] as Record<string, unknown>[],
    failing: false,
  };
  const lease = () => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'l', namespace: 'ns', resourceVersion: String(state.version) },
    spec: state.spec,
  });
  const respond: Script = (response, request) => {
    if (request.query.has('watch')) return stall(response, request);
    if (state.failing) return answer(500, status(500, 'InternalError', 'boom'))(response, request);
    if (request.method === 'GET') {
      return state.spec === undefined
        ? answer(404, status(404, 'NotFound', 'none'))(response, request)
        : answer(200, lease())(response, request);
    }
    const body = JSON.parse(request.body) as { metadata: { resourceVersion?: string }; spec: Record<string, unknown> };
    if (body.metadata.resourceVersion !== undefined && body.metadata.resourceVersion !== String(state.version)) {
      return answer(409, status(409, 'Conflict', 'modified'))(response, request);
    }
    state.version += 1;
    state.spec = body.spec;
    state.writes.push(body.spec);
    return answer(200, lease())(response, request);
  };
  server.otherwise = respond;
  return state;
}

describe('LeaderElector', () => {
  let server: ScriptedServer;
  let client: Client;
  let close: () => Promise<void>;
  let clock: TestClock;
  let stop: AbortController;

  beforeEach(async () => {
    server = await ScriptedServer.start();
    const opened = server.client({ retries: 0 });
    client = opened.client;
    close = () => opened.transport.close();
    clock = new TestClock();
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await clock.settle();
    await close();
    await server[Symbol.asyncDispose]();
  });

  const candidate = (identity = 'me') => new LeaderElector({ client, name: 'l', namespace: 'ns', identity, clock });
  const acquired = async (elector: LeaderElector): Promise<boolean> => {
    let done = false;
    elector.acquire(stop.signal).then(
      () => {
        done = true;
      },
      () => {},
    );
    await clock.settle();
    return done;
  };

  it('makes the lease and renews it every two seconds', async () => {
    const state = leaseServer(server);
    const elector = candidate();
    expect(await acquired(elector)).toBe(true);
    await clock.advance(6000);
    expect(state.writes).toHaveLength(4);
    expect(state.writes[3]).toMatchObject({
      holderIdentity: 'me',
      leaseTransitions: 1,
      renewTime: '1970-01-01T00:00:06.000000Z',
      acquireTime: '1970-01-01T00:00:00.000000Z',
    });
    expect(elector.isHeld()).toBe(true);
    await elector.release(AbortSignal.timeout(1000));
  });

  it('knows at once, before any timer fires, that a pause has cost the lease, and lets no write leave', async () => {
    leaseServer(server);
    const elector = candidate();
    await acquired(elector);
    const fenced = client.with({ mayWrite: () => elector.isHeld() });
    clock.pause(13_999);
    expect(elector.isHeld()).toBe(true);
    clock.pause(1);
    expect(elector.isHeld()).toBe(false);
    const before = server.requests.length;
    await expect(fenced.delete(ConfigMaps, { namespace: 'ns', name: 'a' })).rejects.toMatchObject({ code: 'Fenced' });
    expect(server.requests).toHaveLength(before);
    await clock.advance(2000);
    expect((await elector.lost).message).toBe('the lease could not be renewed in time');
  });

  it('counts its validity from before the renewal was sent, however late the answer comes', async () => {
    const state = leaseServer(server);
    const elector = candidate();
    await acquired(elector);
    const respond = server.otherwise;
    server.otherwise = (response, request) => {
      if (request.method === 'PUT') clock.pause(9_000);
      respond(response, request);
    };
    await clock.advance(2000);
    expect(state.writes).toHaveLength(2);
    // Renewed at 2 s, answered at 11 s: valid until 16 s.
    clock.pause(16_000 - clock.now() - 1);
    expect(elector.isHeld()).toBe(true);
    clock.pause(1);
    expect(elector.isHeld()).toBe(false);
  });

  it('gives up after ten seconds without a renewal', async () => {
    const state = leaseServer(server);
    const elector = candidate();
    await acquired(elector);
    state.failing = true;
    await clock.advance(9_000);
    expect(await Promise.race([elector.lost, Promise.resolve('leads')])).toBe('leads');
    await clock.advance(3_000);
    expect((await elector.lost).message).toBe('the lease could not be renewed in time');
    expect(elector.isHeld()).toBe(false);
  });

  it('gives up at once when another has taken the lease', async () => {
    const state = leaseServer(server);
    const elector = candidate();
    await acquired(elector);
    state.version += 1;
    state.spec = { holderIdentity: 'thief', leaseDurationSeconds: 15 };
    await clock.advance(2000);
    expect((await elector.lost).message).toBe('the lease was taken by thief');
    expect(state.writes).toHaveLength(1);
  });

  it('waits for a silent holder exactly as long as the lease says', async () => {
    const state = leaseServer(server, { holderIdentity: 'other', leaseDurationSeconds: 15, leaseTransitions: 3 });
    const elector = candidate();
    expect(await acquired(elector)).toBe(false);
    await clock.advance(14_900);
    expect(state.writes).toHaveLength(0);
    await clock.advance(200);
    expect(state.writes).toMatchObject([{ holderIdentity: 'me', leaseTransitions: 4 }]);
  });

  it('is woken by the watch when the holder lets go', async () => {
    const spec = { holderIdentity: 'other', leaseDurationSeconds: 15 };
    const state = leaseServer(server, spec);
    const respond = server.otherwise;
    const released = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l', namespace: 'ns', resourceVersion: '2' },
      spec: { ...spec, holderIdentity: '' },
    };
    const { promise, resolve } = Promise.withResolvers<Parameters<Script>>();
    server.otherwise = (...request) => {
      if (request[1].query.has('watch')) resolve(request);
      else respond(...request);
    };
    const elector = candidate();
    expect(await acquired(elector)).toBe(false);
    const [response, request] = await promise;
    expect(request.query.get('fieldSelector')).toBe('metadata.name=l');
    state.version = 2;
    state.spec = released.spec;
    const end = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '2', annotations: { 'k8s.io/initial-events-end': 'true' } } } };
    events([{ type: 'ADDED', object: released }, end])(response, request);
    await clock.settle();
    expect(clock.now()).toBe(0);
    expect(state.writes).toMatchObject([{ holderIdentity: 'me' }]);
  });

  it('lets go when it is released, so that the next need not wait', async () => {
    const state = leaseServer(server);
    const elector = candidate();
    await acquired(elector);
    await elector.release(AbortSignal.timeout(1000));
    expect(state.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(elector.isHeld()).toBe(false);
    const successor = candidate('next');
    expect(await acquired(successor)).toBe(true);
    expect(state.spec).toMatchObject({ holderIdentity: 'next', leaseTransitions: 2 });
    await successor.release(AbortSignal.timeout(1000));
  });
});
