import { expect, it } from 'vitest';
import { Pace } from './pace.ts';

it('a policy is looked at whenever something changes, and once a second if it selects many servers', () => {
  let now = 5_000;
  const pace = new Pace(() => now);
  expect(pace.wait('a/few', 1)).toBe(0);
  pace.took('a/few', 1, 50);
  pace.took('a/many', 1, 51);
  now += 300;
  expect([pace.wait('a/few', 1), pace.wait('a/many', 1)]).toEqual([0, 700]);
  // What its author changed is told at once.
  expect(pace.wait('a/many', 2)).toBe(0);
  now += 700;
  expect(pace.wait('a/many', 1)).toBe(0);
  pace.took('a/many', 1, 51);
  pace.forget('a/many');
  expect(pace.wait('a/many', 1)).toBe(0);
});
