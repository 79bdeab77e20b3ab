import { beforeEach, describe, expect, it } from 'vitest';
import { type DigestInput, ReferenceRollouts } from './rollouts.ts';

describe('ReferenceRollouts', () => {
  let now: number;
  let rollouts: ReferenceRollouts;
  const input = (changes: Partial<DigestInput> = {}): DigestInput => ({
    current: 'new',
    live: 'old',
    exists: true,
    specChanged: false,
    ignore: false,
    rolledOut: true,
    ...changes,
  });

  beforeEach(() => {
    now = 0;
    rollouts = new ReferenceRollouts(() => now);
  });

  it('takes the digest at once where there is no Deployment yet', () => {
    expect(rollouts.decide('a', input({ exists: false, live: undefined }))).toEqual({ digest: 'new', after: undefined, restarts: false });
  });

  it('gathers changes for ten seconds', () => {
    expect(rollouts.decide('a', input())).toEqual({ digest: 'old', after: 10_000, restarts: false });
    now = 4000;
    expect(rollouts.decide('a', input())).toEqual({ digest: 'old', after: 6000, restarts: false });
    now = 10_000;
    expect(rollouts.decide('a', input())).toEqual({ digest: 'new', after: undefined, restarts: true });
  });

  it('counts from the last change', () => {
    rollouts.decide('a', input());
    now = 9000;
    expect(rollouts.decide('a', input({ current: 'newer' })).after).toBe(10_000);
  });

  it('does nothing when the change is taken back', () => {
    rollouts.decide('a', input());
    now = 5000;
    expect(rollouts.decide('a', input({ current: 'old' }))).toEqual({ digest: 'old', after: undefined, restarts: false });
    now = 20_000;
    expect(rollouts.decide('a', input()).after).toBe(10_000);
  });

  it('goes along with a changed spec', () => {
    expect(rollouts.decide('a', input({ specChanged: true })).digest).toBe('new');
  });

  it('ignores changes where it is told to', () => {
    expect(rollouts.decide('a', input({ ignore: true }))).toEqual({ digest: 'old', after: undefined, restarts: false });
  });

  it('replaces the pods of five servers at a time', () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const key of keys) rollouts.decide(key, input());
    now = 10_000;
    expect(keys.map((key) => rollouts.decide(key, input()).restarts)).toEqual([true, true, true, true, true, false]);
    rollouts.decide('c', input({ live: 'new', rolledOut: false }));
    expect(rollouts.decide('f', input()).after).toBe(1000);
    rollouts.decide('c', input({ live: 'new' }));
    expect(rollouts.decide('f', input()).restarts).toBe(true);
  });

  it('does not wait for ever for one that never finishes', () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const key of keys) rollouts.decide(key, input());
    now = 10_000;
    for (const key of keys) rollouts.decide(key, input());
    now = 700_000;
    expect(rollouts.decide('f', input()).restarts).toBe(true);
  });
});
