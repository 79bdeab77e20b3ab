import { expect, it } from 'vitest';
import { expiryOf, nextMove, observe } from './lease.ts';

const wall = new Date('2026-01-01T00:00:00.000Z');
const other = { holderIdentity: 'other', leaseDurationSeconds: 15, leaseTransitions: 4 };

it('waits while another holder keeps renewing', () => {
  let seen = observe(undefined, other, '1', 0);
  seen = observe(seen, other, '2', 14_000);
  expect(nextMove(seen, 'me', 15, 28_000, wall)).toEqual({ type: 'wait' });
  expect(expiryOf(seen, 15)).toBe(29_000);
});

it('takes over a lease unchanged for its whole duration', () => {
  let seen = observe(undefined, other, '1', 0);
  seen = observe(seen, other, '1', 14_000);
  expect(nextMove(seen, 'me', 15, 15_000, wall)).toMatchObject({ spec: { holderIdentity: 'me', leaseTransitions: 5 } });
});

it('goes by the duration that the holder wrote, not by its own', () => {
  const seen = observe(undefined, { ...other, leaseDurationSeconds: 60 }, '1', 0);
  expect(nextMove(seen, 'me', 15, 59_999, wall)).toEqual({ type: 'wait' });
});

it('takes a released lease at once', () => {
  const seen = observe(undefined, { ...other, holderIdentity: '' }, '1', 0);
  expect(nextMove(seen, 'me', 15, 1, wall).type).toBe('write');
  expect(expiryOf(seen, 15)).toBe(0);
});

it('renews its own lease without counting a transition', () => {
  const seen = observe(undefined, { ...other, holderIdentity: 'me', acquireTime: 'then' }, '1', 0);
  expect(nextMove(seen, 'me', 15, 60_000, wall)).toMatchObject({ spec: { acquireTime: 'then', leaseTransitions: 4 } });
});

it('writes times that the API server accepts', () => {
  const move = nextMove(observe(undefined, {}, '1', 0), 'me', 15, 1, wall);
  expect(move).toMatchObject({ spec: { renewTime: '2026-01-01T00:00:00.000000Z', acquireTime: '2026-01-01T00:00:00.000000Z' } });
});
