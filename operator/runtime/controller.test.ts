import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import type { Key } from '../kube/object.ts';
import { Controller, type ControllerOptions, type Outcome } from './controller.ts';
import { type ReconcileContext, type Result, TerminalError, WaitingError } from './reconcile.ts';

const lines: Record<string, unknown>[] = [];
const log = pino(
  { level: 'debug', serializers: { err: (error: Error) => error.message } },
  { write: (line) => lines.push(JSON.parse(line)) },
);

function open(reconcile: (key: Key, context: ReconcileContext) => Promise<Result>, options: Partial<ControllerOptions> = {}) {
  const outcomes: Outcome[] = [];
  const controller = new Controller({
    name: 'test',
    reconciler: { reconcile },
    sources: [],
    log,
    workers: 2,
    observer: { finished: (outcome) => outcomes.push(outcome) },
    ...options,
  });
  controller.start();
  return { controller, outcomes };
}

describe('Controller', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    lines.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const failures: Record<string, { error: unknown; outcome: Outcome; after: number | undefined; level: number; line: string }> = {
    'an ordinary error': { error: new Error('boom'), outcome: 'error', after: 5, level: 50, line: 'reconcile failed' },
    'a bug': { error: new TypeError('x is undefined'), outcome: 'panic', after: 5, level: 50, line: 'reconcile failed' },
    'something thrown that is no error': { error: 'oops', outcome: 'panic', after: 5, level: 50, line: 'reconcile failed' },
    'a conflict': {
      error: new KubeError('Conflict', 'modified'),
      outcome: 'requeue',
      after: 5,
      level: 20,
      line: 'reconcile met a conflict',
    },
    'a terminal error': {
      error: new TerminalError('Bad', 'bad'),
      outcome: 'terminal',
      after: undefined,
      level: 40,
      line: 'reconcile stalled',
    },
    waiting: { error: new WaitingError('not yet', 7000), outcome: 'requeue_after', after: 7000, level: 20, line: 'reconcile is waiting' },
  };
  for (const [name, { error, outcome, after, level, line }] of Object.entries(failures)) {
    it(`ends with ${name} as ${outcome}, ${after === undefined ? 'not again' : `again after ${after} ms`}`, async () => {
      const times: number[] = [];
      const { controller, outcomes } = open(() => {
        times.push(performance.now());
        return times.length === 1 ? Promise.reject(error) : Promise.resolve(undefined);
      });
      const start = performance.now();
      controller.enqueue('a');
      await vi.advanceTimersByTimeAsync(60_000);
      expect(outcomes[0]).toBe(outcome);
      expect(times.slice(1).map((time) => time - start)).toEqual(after === undefined ? [] : [after]);
      expect(lines[0]).toMatchObject({
        level,
        msg: line,
        controller: 'test',
        key: 'a',
        reconcileID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
      await controller.stop(0);
    });
  }

  it('counts a reconciler that throws instead of rejecting, and goes on with others', async () => {
    const done: Key[] = [];
    const { controller, outcomes } = open((key) => {
      if (key === 'bad') throw new RangeError('bug');
      done.push(key);
      return Promise.resolve(undefined);
    });
    for (const key of ['bad', 'a', 'b']) controller.enqueue(key);
    await vi.advanceTimersByTimeAsync(0);
    expect(done).toEqual(['a', 'b']);
    expect(outcomes).toContain('panic');
    await controller.stop(0);
  });

  it('reconciles again when asked, and starts its backoff anew after a success', async () => {
    const times: number[] = [];
    let calls = 0;
    const { controller } = open(() => {
      calls += 1;
      times.push(performance.now());
      if (calls <= 3) return Promise.reject(new Error('boom'));
      return Promise.resolve(calls === 4 ? { after: 1000 } : undefined);
    });
    controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(times.map((time) => time - (times[0] ?? 0))).toEqual([0, 5, 15, 35, 1035]);
    expect(controller.queue.failures('a')).toBe(0);
    await controller.stop(0);
  });

  it('never runs more reconciles than workers', async () => {
    let running = 0;
    let most = 0;
    const { controller } = open(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => {
          setTimeout(resolve, 10);
        });
        running -= 1;
        return undefined;
      },
      { workers: 3 },
    );
    for (let i = 0; i < 20; i++) controller.enqueue(String(i));
    await vi.advanceTimersByTimeAsync(1000);
    expect([most, controller.queue.depth]).toEqual([3, 0]);
    await controller.stop(0);
  });

  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });

  it('aborts and retries a reconcile that takes too long', async () => {
    let calls = 0;
    const { controller, outcomes } = open(
      (_, { signal }) => {
        calls += 1;
        return calls === 1 ? untilAborted(signal) : Promise.resolve(undefined);
      },
      { timeout: 1000 },
    );
    controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(999);
    expect(outcomes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(outcomes).toEqual(['timeout', 'success']);
    expect(lines[0]).toMatchObject({ msg: 'reconcile timed out' });
    await controller.stop(0);
  });

  it('lets a reconcile finish when it stops, and takes no other', async () => {
    let finish = (): void => {};
    const done: Key[] = [];
    const { controller } = open(
      async (key) => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        done.push(key);
        return undefined;
      },
      { workers: 1 },
    );
    controller.enqueue('a');
    controller.enqueue('b');
    await vi.advanceTimersByTimeAsync(0);
    const stopping = controller.stop(20_000);
    await vi.advanceTimersByTimeAsync(19_000);
    finish();
    await stopping;
    expect(done).toEqual(['a']);
  });

  it('aborts what is still running after the grace period', async () => {
    const { controller, outcomes } = open((_, { signal }) => untilAborted(signal));
    controller.enqueue('a');
    await vi.advanceTimersByTimeAsync(0);
    const stopping = controller.stop(20_000);
    await vi.advanceTimersByTimeAsync(20_000);
    await stopping;
    expect(outcomes).toEqual(['requeue']);
    expect(lines).toEqual([]);
  });

  it('passes over all keys from time to time, at low priority', async () => {
    const seen: Key[] = [];
    const { controller } = open(
      (key) => {
        seen.push(key);
        return Promise.resolve(undefined);
      },
      { keys: () => ['a', 'b'], resync: 1000, random: () => 0.5 },
    );
    await vi.advanceTimersByTimeAsync(2500);
    expect(seen).toEqual(['a', 'b', 'a', 'b']);
    await controller.stop(0);
  });
});
