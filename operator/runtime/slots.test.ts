import { describe, expect, it } from 'vitest';
import { SharedSlots, Slots } from './slots.ts';

const signal = new AbortController().signal;

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

describe('slots', () => {
  it('are given in the order in which they were asked for, no more than there are', async () => {
    const slots = new Slots(2);
    const given: number[] = [];
    const takes = [0, 1, 2, 3].map(async (index) => {
      const release = await slots.take(signal);
      given.push(index);
      return release;
    });
    await settled();
    expect(given).toEqual([0, 1]);
    (await takes[1])?.();
    await settled();
    expect(given).toEqual([0, 1, 2]);
    (await takes[0])?.();
    await settled();
    expect(given).toEqual([0, 1, 2, 3]);
  });

  it('are free again when nobody waits', async () => {
    const slots = new Slots(1);
    (await slots.take(signal))();
    (await slots.take(signal))();
    let another = false;
    await slots.take(signal);
    void slots.take(signal).then(() => (another = true));
    await settled();
    expect(another).toBe(false);
  });

  it('are not kept for somebody who no longer waits', async () => {
    const slots = new Slots(1);
    const release = await slots.take(signal);
    const impatient = new AbortController();
    const given = slots.take(impatient.signal);
    const next = slots.take(signal);
    impatient.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    release();
    expect(await next).toBeTypeOf('function');
  });

  it('are not given to whoever has given up already', async () => {
    await expect(new Slots(1).take(AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
  });
});

describe('shared slots', () => {
  it('go to each group in turn, and to nobody who no longer waits', async () => {
    const slots = new SharedSlots(1);
    const given: string[] = [];
    const leaving = new AbortController();
    const take = async (group: string, name: string, until: AbortSignal = signal): Promise<void> => {
      const release = await slots.take(group, until);
      given.push(name);
      await settled();
      release();
    };
    const left = take('a', 'left', leaving.signal);
    const all = [take('a', 'a2'), take('a', 'a3'), take('b', 'b1'), take('b', 'b2'), take('c', 'c1')];
    const gone = take('d', 'd1', leaving.signal);
    leaving.abort(new Error('gone'));
    await Promise.allSettled([left, gone, ...all]);
    expect(given).toEqual(['b1', 'c1', 'a2', 'b2', 'a3']);
    expect(await slots.take('a', signal)).toBeTypeOf('function');
  });
});
