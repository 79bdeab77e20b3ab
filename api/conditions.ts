/** Condition types of an MCPServer. Types and reasons are API: added, never renamed. */
export const ConditionType = {
  /** Accepted, Available, Verified and PolicyApplied are True, or nothing is wanted. */
  Ready: 'Ready',
  /** The spec makes sense and what it names exists. */
  Accepted: 'Accepted',
  /** At least the wanted minimum of pods is ready. */
  Available: 'Available',
  /** The last handshake and tool listing worked. */
  Verified: 'Verified',
  /** The guards run the newest policy bundle. */
  PolicyApplied: 'PolicyApplied',
  /** Route accepted, address assigned. Present only when `expose` asks. */
  Exposed: 'Exposed',
  /** The operator is at work. Present only while true (kstatus). */
  Reconciling: 'Reconciling',
  /** Nothing will happen until the object changes. Present only while true (kstatus). */
  Stalled: 'Stalled',
} as const;
export type ConditionType = (typeof ConditionType)[keyof typeof ConditionType];

/** Reasons of `Ready` when True. When not True it has the reason of the first condition that is not. */
export const ReadyReason = {
  /** True. */
  Ready: 'Ready',
  /** True: `spec.suspend` is set, no pods are wanted. */
  Suspended: 'Suspended',
  /** True: `spec.replicas` is 0, no pods are wanted. */
  ScaledToZero: 'ScaledToZero',
  /** A condition that it depends on is not known yet. */
  Pending: 'Pending',
} as const;

export const AcceptedReason = {
  /** True. */
  Accepted: 'Accepted',
  /** What the API server could not check contradicts itself, or an object made from the spec was refused. */
  InvalidSpec: 'InvalidSpec',
  /** A ConfigMap, PersistentVolumeClaim, ServiceAccount, Service or namespace is missing; a Secret only where rotation is enabled. */
  ReferenceNotFound: 'ReferenceNotFound',
  /** An object of a name that the server needs exists and is not the operator's. */
  NameConflict: 'NameConflict',
  /** `kubernetesAccess` asks for what may not be granted. */
  AccessNotGrantable: 'AccessNotGrantable',
  /** `podTemplate` or `labels` touch what the operator must decide itself. */
  ProtectedField: 'ProtectedField',
  /** Something was asked for that only a server with a guard can have, and its guard is off. */
  GuardRequired: 'GuardRequired',
} as const;

export const AvailableReason = {
  /** True. */
  Available: 'Available',
  /** True: `spec.suspend` is set, no pods are wanted. */
  Suspended: 'Suspended',
  /** True: `spec.replicas` is 0, no pods are wanted. */
  ScaledToZero: 'ScaledToZero',
  /** Pods are starting. */
  Progressing: 'Progressing',
  /** An image cannot be pulled; the message names it and its container, and has the words of the kubelet. */
  ImagePullFailed: 'ImagePullFailed',
  /** The container ends again and again; the message has its last log lines. */
  CrashLooping: 'CrashLooping',
  /** The container could not be created: a missing Secret or ConfigMap in env, a bad command, a security context that is refused. */
  CreateContainerFailed: 'CreateContainerFailed',
  /** A volume could not be mounted: a missing Secret or key, in the words of the kubelet. */
  MountFailed: 'MountFailed',
  /** The container runs, but its guard has no answer to MCP from it, or it no longer accepts connections on its port. */
  ServerNotAnswering: 'ServerNotAnswering',
  /** No node takes the pods, in the words of the scheduler. */
  Unschedulable: 'Unschedulable',
  /** The rollout made no progress for `rollout.progressDeadlineSeconds`. */
  ProgressDeadlineExceeded: 'ProgressDeadlineExceeded',
  /** A ResourceQuota or LimitRange refuses the pods. */
  QuotaExceeded: 'QuotaExceeded',
} as const;

export const VerifiedReason = {
  /** True. */
  Verified: 'Verified',
  /** True: the server answered 401 or 403 as MCP asks; its tools are unknown. */
  AuthenticationRequired: 'AuthenticationRequired',
  /** Not tried yet. */
  Pending: 'Pending',
  /** An MCP error. */
  HandshakeFailed: 'HandshakeFailed',
  /** The answer is not MCP at all. */
  ProtocolError: 'ProtocolError',
  /** No answer within `verification.timeout`. */
  Timeout: 'Timeout',
  /** Nothing listens on the port, or a network policy is in the way. */
  ConnectionRefused: 'ConnectionRefused',
  /** One of `verification.requiredTools` is not listed. */
  RequiredToolMissing: 'RequiredToolMissing',
  /** The tunnel to the cluster of the server is down. Not in this release. */
  TunnelDisconnected: 'TunnelDisconnected',
} as const;

export const PolicyAppliedReason = {
  /** True. */
  Applied: 'Applied',
  /** True: no policy selects this server. */
  NoPolicy: 'NoPolicy',
  /** A guard has not taken the newest bundle for 30 seconds. */
  GuardBehind: 'GuardBehind',
  /** A policy that selects this server cannot be read; the guards keep its last readable form; if they have none, every call is refused. */
  InvalidPolicy: 'InvalidPolicy',
  /** The policies and pins of this server do not fit into a ConfigMap; the message says who must shorten what, and what holds until then. */
  BundleTooLarge: 'BundleTooLarge',
  /** `policy.required`, but none selects this server. */
  PolicyMissing: 'PolicyMissing',
  /** The ConfigMap with the pinned tool definitions is gone; hints of the server lower nothing until pins exist again. */
  PinsMissing: 'PinsMissing',
  /** The keys of a token issuer could not be fetched yet; every token of it is refused. */
  KeysMissing: 'KeysMissing',
  /** A policy selects this server, but its guard is off; or the spec is refused and the bundle that the guards should have is lost. */
  NotEnforced: 'NotEnforced',
} as const;

export const ExposedReason = {
  /** True. */
  Exposed: 'Exposed',
  /** The Gateway does not take the route, in its own words. */
  RouteNotAccepted: 'RouteNotAccepted',
  /** `expose.httpRoute` is set, but the cluster has no Gateway API; the route appears once it has. */
  GatewayAPINotInstalled: 'GatewayAPINotInstalled',
  /** The controller of the route or Ingress has not answered yet. */
  Pending: 'Pending',
} as const;

export const ReconcilingReason = {
  /** A new generation is being brought about. */
  Progressing: 'Progressing',
  /** A guard has not taken the newest bundle yet, for less than 30 seconds. */
  GuardBehind: 'GuardBehind',
  /** The last attempt failed and is repeated. */
  Retrying: 'Retrying',
} as const;

/** Reasons of `Stalled`: those of the condition that only a change of the object can mend. */
export const StalledReason = {
  InvalidSpec: AcceptedReason.InvalidSpec,
  AccessNotGrantable: AcceptedReason.AccessNotGrantable,
  NameConflict: AcceptedReason.NameConflict,
  ProtectedField: AcceptedReason.ProtectedField,
  ProgressDeadlineExceeded: AvailableReason.ProgressDeadlineExceeded,
} as const;
