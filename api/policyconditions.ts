/** Condition types of an MCPToolPolicy. Types and reasons are API: added, never renamed. */
export const PolicyConditionType = {
  /** Accepted and Programmed are True. */
  Ready: 'Ready',
  /** The policy makes sense to this operator. */
  Accepted: 'Accepted',
  /** The guards of all servers that it selects enforce it. */
  Programmed: 'Programmed',
  /** Nothing will happen until the object changes, for the reason of `Accepted`. Present only while true (kstatus). */
  Stalled: 'Stalled',
} as const;
export type PolicyConditionType = (typeof PolicyConditionType)[keyof typeof PolicyConditionType];

/** Reasons of `Ready` when True. When not True it has the reason of the first condition that is not. */
export const PolicyReadyReason = {
  /** True. */
  Ready: 'Ready',
  /** A condition that it depends on is not known yet. */
  Pending: 'Pending',
} as const;

export const PolicyAcceptedReason = {
  /** True. */
  Accepted: 'Accepted',
  /** This operator cannot read the policy. Guards keep its last readable form; servers that have none refuse. */
  InvalidSpec: 'InvalidSpec',
  /** `namespaces` is set outside of the operator's own namespace. */
  NamespacesNotAllowed: 'NamespacesNotAllowed',
} as const;

export const ProgrammedReason = {
  /** True: every guard of every server that it selects enforces it. */
  Programmed: 'Programmed',
  /** True: it selects no server. */
  NoTargets: 'NoTargets',
  /** Waits for the policy to be accepted. */
  Pending: 'Pending',
  /** A guard has not taken it yet; `status.targets.notCurrent` says whose. */
  GuardBehind: 'GuardBehind',
  /** It selects a server whose guard is off. */
  NotEnforced: 'NotEnforced',
} as const;
