import type { MCPServer } from '../../../api/mcpserver.ts';
import type { Service } from '../../kube/wire.ts';

/** What the operator's own configuration decides about the children of every server. */
export interface ChildSettings {
  /** DNS domain of the cluster. Default: cluster.local. */
  readonly clusterDomain: string;
  /** Where the operator runs: verification comes from there. Absent outside a cluster. */
  readonly operatorNamespace: string | undefined;
  /** Images that run packages which name none. */
  readonly runnerImages: { readonly npm: string; readonly pypi: string };
  /** Where packages come from unless `env` says otherwise. Absent: the public registries. */
  readonly registries: { readonly npm: string | undefined; readonly pypi: string | undefined };
  /** Image that runs the guards: the operator's own. `pullPolicy` absent: Kubernetes' default for its tag. */
  readonly guardImage: { readonly image: string; readonly pullPolicy?: 'Always' | 'IfNotPresent' | 'Never' };
  /** Whether pods get user, group and fsGroup 65532. False where the platform assigns them (OpenShift). */
  readonly assignIDs: boolean;
}

/** Where the API server is reached from pods. */
export interface APIServerAddresses {
  /** Cluster IPs of Service default/kubernetes, with its port. */
  readonly clusterIPs: readonly string[];
  readonly servicePort: number;
  /** Addresses behind it, with the port of each. */
  readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
}

/** The content of ConfigMap `<name>-policy`. */
export interface GuardBundle {
  readonly files: Readonly<Record<string, string>>;
  /** Headers whose values stand in the spec, by key. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the tools of the server were pinned before. */
  readonly pinned: boolean;
}

/** Everything that children are made from. Children are pure functions of it. */
export interface ChildInput {
  readonly server: MCPServer;
  readonly settings: ChildSettings;
  /** Digest of what the pods read from ConfigMaps and Secrets; absent where they read nothing. */
  readonly configDigest: string | undefined;
  /** `spec.replicas` of the Deployment; absent: the autoscaler's. */
  readonly replicas: number | undefined;
  readonly apiServer: APIServerAddresses;
  /** The Service behind which the server runs, where it runs elsewhere and that Service exists. */
  readonly target: Service | undefined;
  /** What the guards enforce; absent without a guard. */
  readonly bundle: GuardBundle | undefined;
  /** Optional APIs that this cluster has. */
  readonly has: { readonly httpRoutes: boolean; readonly podMonitors: boolean };
}

/** Pods that are there at any time, as far as the spec guarantees it. */
export const guaranteedReplicas = ({ spec }: MCPServer): number => (spec.suspend ? 0 : (spec.autoscaling?.minReplicas ?? spec.replicas));

/** Whether there are pods of this server: its own ones, or those of a guard in front of one that runs elsewhere. */
export const hasWorkload = (server: MCPServer): boolean => server.spec.tunnel === undefined && (!runsElsewhere(server) || hasGuard(server));

/** Whether only the guard runs here. */
export const runsElsewhere = ({ spec }: Pick<MCPServer, 'spec'>): boolean => spec.remote !== undefined || spec.service !== undefined;

/** Whether a guard stands in front of the server. */
export const hasGuard = ({ spec }: Pick<MCPServer, 'spec'>): boolean => spec.guard.enabled;
