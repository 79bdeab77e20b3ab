import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AddOptions, WorkQueue } from './workqueue.ts';

describe('WorkQueue', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('serves a key once, however often it was added', async () => {
    const queue = new WorkQueue();
    for (let i = 0; i < 100; i++) queue.add('a');
    queue.add('b');
    expect([await queue.take(), await queue.take(), queue.depth]).toEqual(['a', 'b', 0]);
  });

  it('serves a key added a hundred times while it is held once more, after done', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    await queue.take();
    for (let i = 0; i < 100; i++) queue.add('a');
    const again = queue.take();
    const early = await Promise.race([again, Promise.resolve('nothing yet')]);
    expect(early).toBe('nothing yet');
    queue.done('a');
    expect(await again).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  it('doubles the delay of a failing key and resets it when told', async () => {
    const queue = new WorkQueue({ baseDelay: 100, maxDelay: 1000 });
    const delays: number[] = [];
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      queue.retry('a');
      const taken = queue.take();
      await vi.runAllTimersAsync();
      await taken;
      queue.done('a');
      delays.push(performance.now() - start);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000]);
    queue.forget('a');
    expect(queue.failures('a')).toBe(0);
  });

  it('lets a later, sooner addition overtake a delay', async () => {
    const queue = new WorkQueue();
    queue.add('a', { after: 60_000 });
    queue.add('a');
    expect(await queue.take()).toBe('a');
    queue.done('a');
    await vi.runAllTimersAsync();
    expect(queue.depth).toBe(0);
  });

  it('serves delayed keys in the order in which they become ready', async () => {
    const queue = new WorkQueue();
    const delays = [500, 20, 300, 1, 40, 250, 7];
    for (const after of delays) queue.add(String(after), { after });
    const taken: (string | undefined)[] = [];
    const worker = async (): Promise<void> => {
      for (let i = 0; i < delays.length; i++) {
        const key = await queue.take();
        taken.push(key);
        queue.done(key ?? '');
      }
    };
    const working = worker();
    await vi.runAllTimersAsync();
    await working;
    expect(taken).toEqual(delays.toSorted((a, b) => a - b).map(String));
  });

  it('waits for a delay longer than a timer can hold', async () => {
    const queue = new WorkQueue();
    queue.add('a', { after: 2 ** 31 + 5_000 });
    await vi.advanceTimersByTimeAsync(2 ** 31);
    expect(queue.ready('normal')).toBe(0);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(queue.ready('normal')).toBe(1);
  });

  it('serves changes before the initial list, without starving it', async () => {
    const queue = new WorkQueue({ normalPerLow: 2 });
    for (const key of ['l1', 'l2']) queue.add(key, { priority: 'low' });
    for (const key of ['n1', 'n2', 'n3', 'n4']) queue.add(key);
    const order: (string | undefined)[] = [];
    for (let i = 0; i < 6; i++) order.push(await queue.take());
    expect(order).toEqual(['n1', 'n2', 'l1', 'n3', 'n4', 'l2']);
  });

  it('raises the priority of a key that is already waiting', async () => {
    const queue = new WorkQueue();
    queue.add('a', { priority: 'low' });
    queue.add('b', { priority: 'low' });
    queue.add('b');
    expect([queue.ready('low'), queue.ready('normal')]).toEqual([1, 1]);
    expect([await queue.take(), await queue.take()]).toEqual(['b', 'a']);
    expect([queue.ready('low'), queue.ready('normal')]).toEqual([0, 0]);
  });

  it('tells how long keys waited and were held', async () => {
    const seen: string[] = [];
    const observer = {
      added: () => seen.push('added'),
      taken: (seconds: number) => seen.push(`taken after ${seconds}`),
      done: (seconds: number) => seen.push(`done after ${seconds}`),
    };
    const queue = new WorkQueue({ observer });
    queue.add('a');
    await vi.advanceTimersByTimeAsync(1000);
    await queue.take();
    await vi.advanceTimersByTimeAsync(2000);
    queue.done('a');
    expect(seen).toEqual(['added', 'taken after 1', 'done after 2']);
  });

  it('releases waiting workers when closed', async () => {
    const queue = new WorkQueue();
    const waiting = queue.take();
    queue.close();
    expect(await waiting).toBeUndefined();
  });

  it('never gives a key to two workers and loses none, whatever is added when', async () => {
    const options = fc.record(
      { after: fc.integer({ min: 0, max: 50 }), priority: fc.constantFrom('normal', 'low') },
      { requiredKeys: [] },
    ) as fc.Arbitrary<AddOptions>;
    const step = fc.oneof(
      fc.record({ type: fc.constant('add'), key: fc.integer({ min: 0, max: 5 }), options }),
      fc.record({ type: fc.constant('retry'), key: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ type: fc.constant('finish') }),
      fc.record({ type: fc.constant('tick'), milliseconds: fc.integer({ min: 1, max: 40 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const queue = new WorkQueue();
        const held = new Set<string>();
        /** Keys whose last addition has not been followed by a take yet. */
        const owed = new Set<string>();
        const worker = async (): Promise<void> => {
          for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
            if (held.has(key)) throw new Error(`${key} was given to two workers`);
            held.add(key);
            owed.delete(key);
            await new Promise<void>((resolve) => finish.push(resolve));
            held.delete(key);
            queue.done(key);
          }
        };
        const finish: (() => void)[] = [];
        const workers = [worker(), worker(), worker()];
        for (const action of steps) {
          if (action.type === 'add') queue.add(String(action.key), action.options);
          if (action.type === 'retry') queue.retry(String(action.key));
          if (action.type === 'add' || action.type === 'retry') owed.add(String(action.key));
          if (action.type === 'finish') finish.shift()?.();
          await vi.advanceTimersByTimeAsync(action.type === 'tick' ? action.milliseconds : 0);
        }
        for (let i = 0; i < 50; i++) {
          for (const end of finish.splice(0)) end();
          await vi.advanceTimersByTimeAsync(1_000);
        }
        expect([...owed, queue.depth, queue.ready('low'), queue.ready('normal')]).toEqual([0, 0, 0]);
        queue.close();
        await Promise.all(workers);
      }),
      { numRuns: 60 },
    );
  });
});
