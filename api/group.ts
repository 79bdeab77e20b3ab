/** The API group of all kinds. */
export const GROUP = 'mcp-fleet.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}` as const;

/** What `app.kubernetes.io/part-of` and `managed-by` say, and the name under which the operator applies fields. */
export const FIELD_MANAGER = 'mcp-fleet-operator';

/** Holds `spec.replicas` of a Deployment while it passes from the operator to an autoscaler. */
export const REPLICAS_FIELD_MANAGER = 'mcp-fleet-operator-replicas';

/** Labels on objects that the operator makes or reads. */
export const Label = {
  /** Name of the MCPServer that an object belongs to; selects its pods. */
  Server: `${GROUP}/server`,
  /** `"true"` on a ClusterRole: its rules may be asked for in `kubernetesAccess`. */
  Grantable: `${GROUP}/grantable`,
  /** On the MCPServer of a tunnel: the MCPTunnel that it arrived through. */
  Peer: `${GROUP}/peer`,
  Name: 'app.kubernetes.io/name',
  Instance: 'app.kubernetes.io/instance',
  Component: 'app.kubernetes.io/component',
  ManagedBy: 'app.kubernetes.io/managed-by',
  PartOf: 'app.kubernetes.io/part-of',
} as const;

export const Annotation = {
  /** On a pod template: digest of what the pod reads from ConfigMaps and, where rotation is enabled, Secrets. */
  ConfigDigest: `${GROUP}/config-digest`,
  /** On a pod: digests of the policy bundle and of the issuers' keys that its guard should hold. Makes the kubelet refresh the volume at once. */
  PolicyDigest: `${GROUP}/policy-digest`,
  /** On the ConfigMap of a bundle: uid of the MCPServer whose tools were pinned once. */
  Pinned: `${GROUP}/pinned`,
  /** On an object that the operator applied: digest of what it last asked for, so that an unchanged wish is not sent again. */
  AppliedDigest: `${GROUP}/applied-digest`,
  /** Written by a user on an MCPServer to ask for a reconcile; echoed in `status.lastHandledReconcileAt`. */
  RequestedAt: `${GROUP}/requestedAt`,
  /** On a pod template: when a restart was asked for with `mcp-fleet restart`. */
  RestartedAt: `${GROUP}/restartedAt`,
} as const;

/** Keeps an MCPServer until its cluster-scoped and foreign-namespace bindings are gone. */
export const FINALIZER = `${GROUP}/finalizer`;

/** Name of the container that runs the server in its pod. */
export const SERVER_CONTAINER = 'server';
/** Name of the native sidecar in front of it. */
export const GUARD_CONTAINER = 'guard';

/** Names of what belongs to the guard of a server. */
export const guardNames = (server: string) => ({ policy: `${server}-policy`, pins: `${server}-pins`, keys: `${server}-guard` }) as const;

/** Ports of the guard. No server may listen on one of them. */
export const GuardPort = { Data: 15080, Admin: 15090, Metrics: 15091 } as const;

/** Name of the port that serves MCP, in the Service and in the pod. */
export const MCP_PORT_NAME = 'mcp';
