import { describe, expect, it } from 'vitest';
import { canonicalQuantity } from './quantity.ts';

describe('canonicalQuantity', () => {
  // Each right side is what a Kubernetes 1.35 API server stored for the left side.
  const cases: Record<string, string> = {
    '0': '0',
    '1': '1',
    '1000m': '1',
    '0.5': '500m',
    '1.5': '1500m',
    '50m': '50m',
    '100M': '100M',
    '1000k': '1M',
    '512Mi': '512Mi',
    '1024Mi': '1Gi',
    '0.5Gi': '512Mi',
    '1.5Gi': '1536Mi',
    '0.5Ki': '512',
    '2048': '2048',
    '1e3': '1e3',
    '.5': '500m',
    '+2': '2',
  };
  for (const [quantity, canonical] of Object.entries(cases))
    it(`writes ${quantity} as ${canonical}`, () => expect(canonicalQuantity(quantity)).toBe(canonical));
  it('takes numbers', () => expect(canonicalQuantity(2)).toBe('2'));
});
