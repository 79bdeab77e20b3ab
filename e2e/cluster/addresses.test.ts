import { expect, test } from 'vitest';
import { addresses, SLOTS } from './addresses.ts';

test('no two clusters share an address, and all are in 198.18.0.0/15', () => {
  const all = Array.from({ length: SLOTS }, (_, slot) => addresses(slot)).flatMap(({ node, podNetwork, serviceNetwork }) => [
    node,
    podNetwork,
    serviceNetwork,
  ]);
  expect(new Set(all).size).toBe(3 * SLOTS);
  for (const address of all) {
    expect(address).toMatch(/^198\.(18|19)\.\d+\.\d+(\/24)?$/);
    const third = Number(address.split('.')[2]);
    expect(third).toBeLessThanOrEqual(255);
  }
});

test('the addresses of the second cluster', () => {
  expect(addresses(1)).toEqual({
    node: '198.18.0.11',
    podNetwork: '198.18.32.0/24',
    serviceNetwork: '198.19.1.0/24',
    apiService: '198.19.1.1',
  });
});
