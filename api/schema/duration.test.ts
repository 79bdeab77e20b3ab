import { expect, test } from 'vitest';
import { Duration, milliseconds } from './duration.ts';

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['1m0.5s', 60_500],
])('%s is %d ms', (duration, expected) => {
  expect(Duration.safeParse(duration).success).toBe(true);
  expect(milliseconds(duration)).toBe(expected);
});

test.each(['', '5', '-5s', '5 m', '5m ', '1d', '1h30', 's'])('"%s" is no duration', (duration) => {
  expect(Duration.safeParse(duration).success).toBe(false);
  expect(() => milliseconds(duration)).toThrow(RangeError);
});
