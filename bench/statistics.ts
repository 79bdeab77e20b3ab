/** What many samples come to, in the samples' own unit. */
export interface Summary {
  readonly samples: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** @throws RangeError without samples */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError('nothing was measured');
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
  return { samples: sorted.length, min: at(0) || (sorted[0] ?? Number.NaN), p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Exponent `b` of the fit `y = a·x^b`: 1 grows with the fleet, 0 does not grow. */
export function growth(points: readonly { readonly x: number; readonly y: number }[]): number {
  const logs = points.filter(({ x, y }) => x > 0 && y > 0).map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const mean = (of: 'x' | 'y'): number => logs.reduce((sum, point) => sum + point[of], 0) / logs.length;
  const [mx, my] = [mean('x'), mean('y')];
  const slope = logs.reduce((sum, { x, y }) => sum + (x - mx) * (y - my), 0);
  return slope / logs.reduce((sum, { x }) => sum + (x - mx) ** 2, 0);
}

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits));
