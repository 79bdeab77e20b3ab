import { microTime } from './conditions.ts';

/** `spec` of a Lease (coordination.k8s.io/v1), as leader election uses it. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

/** What one candidate has seen. Times are its own monotonic clock: another machine's `renewTime` is never compared. */
export interface Observation {
  readonly spec: LeaseSpec;
  readonly resourceVersion: string;
  readonly seenAt: number;
}

export type LeaseMove = { readonly type: 'wait' } | { readonly type: 'write'; readonly spec: LeaseSpec };

/** Keeps the moment of first sight while the record stays the same. */
export function observe(last: Observation | undefined, spec: LeaseSpec, resourceVersion: string, now: number): Observation {
  return last?.resourceVersion === resourceVersion ? last : { spec, resourceVersion, seenAt: now };
}

/** When a candidate may take the lease, on its own monotonic clock; now if nobody holds it. */
export function expiryOf({ spec, seenAt }: Observation, leaseSeconds: number): number {
  const { holderIdentity = '', leaseDurationSeconds = leaseSeconds } = spec;
  return holderIdentity === '' ? seenAt : seenAt + leaseDurationSeconds * 1000;
}

/** The client-go rule: renew what is ours, take what is free or silent for its whole duration, and wait otherwise. */
export function nextMove(seen: Observation, identity: string, leaseSeconds: number, now: number, wall: Date): LeaseMove {
  const { holderIdentity = '', leaseDurationSeconds = leaseSeconds, leaseTransitions = 0, acquireTime } = seen.spec;
  const time = microTime(wall);
  const ours = holderIdentity === identity;
  const held = holderIdentity !== '' && now < seen.seenAt + leaseDurationSeconds * 1000;
  if (held && !ours) return { type: 'wait' };
  return {
    type: 'write',
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      renewTime: time,
      acquireTime: ours && acquireTime !== undefined ? acquireTime : time,
      leaseTransitions: ours ? leaseTransitions : leaseTransitions + 1,
    },
  };
}
