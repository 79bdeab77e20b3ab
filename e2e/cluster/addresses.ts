/** Addresses of one cluster, all from 198.18.0.0/15, the range for benchmarks (RFC 2544), so that nothing real is ever hit. */
export interface Addresses {
  readonly node: string;
  readonly podNetwork: string;
  readonly serviceNetwork: string;
  /** The API server's Service. */
  readonly apiService: string;
}

/** This machine on the bridge that joins all clusters. */
export const MACHINE_ADDRESS = '198.18.0.1';

/** 198.18.(16·(slot+1)).0/24 leaves room for 15. */
export const SLOTS = 15;

export function addresses(slot: number): Addresses {
  return {
    node: `198.18.0.${10 + slot}`,
    podNetwork: `198.18.${16 * (slot + 1)}.0/24`,
    serviceNetwork: `198.19.${slot}.0/24`,
    apiService: `198.19.${slot}.1`,
  };
}
