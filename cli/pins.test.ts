import { expect, test } from 'vitest';
import { withApproval } from './pins.ts';

const digest = (digit: number): string => `sha256:${String(digit).repeat(64)}`;
const tool = {
  name: 'search',
  title: undefined,
  hints: { readOnly: undefined, destructive: undefined, idempotent: undefined, openWorld: undefined },
  digest: digest(9),
};
const of = (...digits: number[]) => ({ tools: digits.length === 0 ? {} : { search: digits.map(digest) } });

test.each<[sentence: string, own: number[], others: number[], expected: number[] | undefined]>([
  ['the first approval', [], [1], [9]],
  ['a second one keeps the first', [2], [1], [9, 2]],
  ['the oldest makes room', [4, 3, 2], [1], [9, 4, 3]],
  ['what others trust takes no room twice', [1, 2], [1], [9, 2]],
  ['approving again moves to the front', [2, 9], [1], [9, 2]],
  ['others leave room for one', [4, 3], [1, 2, 5], [9]],
  ['others leave no room', [], [1, 2, 3, 4], undefined],
])('%s', (_, own, others, expected) => {
  expect(withApproval({ own: of(...own), others: of(...others) }, tool)).toEqual(expected?.map(digest));
});
