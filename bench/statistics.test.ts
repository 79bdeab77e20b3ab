import { describe, expect, it } from 'vitest';
import { growth, summarize } from './statistics.ts';

describe('summarize', () => {
  it('takes the nearest rank', () => {
    const samples = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(summarize(samples)).toEqual({ samples: 200, min: 1, p50: 100, p99: 198, max: 200 });
  });

  it('refuses to say anything about nothing', () => {
    expect(() => summarize([])).toThrow(RangeError);
  });
});

describe('growth', () => {
  it('finds the exponent of a power', () => {
    expect(growth([100, 1000, 5000].map((x) => ({ x, y: 3 * x ** 1.5 })))).toBeCloseTo(1.5);
  });
});
