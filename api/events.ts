/** Reasons of events about an MCPServer. Like those of conditions they are API. */
export const EventReason = {
  /** Normal: pods are replaced, because what they read has changed or somebody asked. */
  Restarted: 'Restarted',
  /** Normal: the first handshake and listing after a failure or start worked. */
  Verified: 'Verified',
  /** Warning: a handshake or listing that worked before fails. */
  VerificationFailed: 'VerificationFailed',
  /** Normal: with the digest of the new tool. */
  ToolAdded: 'ToolAdded',
  /** Normal: with the digest of the tool that went. */
  ToolRemoved: 'ToolRemoved',
  /** Warning: the definition of a tool changed; with old and new digest. */
  ToolChanged: 'ToolChanged',
  /** Normal: a child that a backup brought back without its owner is taken over. */
  Adopted: 'Adopted',
  /** Warning: a child could not be applied. */
  ApplyFailed: 'ApplyFailed',
  /** Warning: the image has tag latest, so that what runs depends on the day. */
  MutableImageTag: 'MutableImageTag',
  /** Warning: a bound ClusterRole allows writing Secrets, or everything. */
  BroadClusterRole: 'BroadClusterRole',
  /** Warning: `network.egress.to` has a range of all addresses. */
  OpenEgress: 'OpenEgress',
  /** Warning: what policies or authentication of the guard forbid can be had at the server's own port. */
  BypassPossible: 'BypassPossible',
  /** Warning: the autoscaler does not get a metric that it is to scale by. */
  MetricsMissing: 'MetricsMissing',
  /** Warning: two servers write to one PersistentVolumeClaim. */
  SharedVolume: 'SharedVolume',
  /** Warning: somebody else manages fields of the pod template. */
  ForeignFields: 'ForeignFields',
  /** Warning: Secrets are referenced, but rotation is not enabled. */
  RotationDisabled: 'RotationDisabled',
  /** Warning: keys of a token issuer cannot be fetched again; those of before stay in force. */
  IssuerUnreachable: 'IssuerUnreachable',
} as const;
export type EventReason = (typeof EventReason)[keyof typeof EventReason];
