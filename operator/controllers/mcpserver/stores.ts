import { Annotation, API_VERSION, FIELD_MANAGER, Label, REPLICAS_FIELD_MANAGER } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { MCPToolPolicy } from '../../../api/mcptoolpolicy.ts';
import { isReadOnly } from '../../../api/mount.ts';
import { type Key, keyOf, type KubeObject, type Resource } from '../../kube/object.ts';
import {
  ClusterRoleBindings,
  ClusterRoles,
  ConfigMaps,
  Deployments,
  EndpointSlices,
  Events,
  HorizontalPodAutoscalers,
  HTTPRoutes,
  Ingresses,
  namespaced,
  NetworkPolicies,
  PersistentVolumeClaims,
  PodDisruptionBudgets,
  PodMonitors,
  Pods,
  RoleBindings,
  Roles,
  Secrets,
  ServiceAccounts,
  Services,
} from '../../kube/resources.ts';
import type { Event, HorizontalPodAutoscaler, Pod, Service } from '../../kube/wire.ts';
import type { Manager, WatchSettings } from '../../runtime/manager.ts';
import { compactManagers, controllerOf, OWNER_INDEX, ownerIndex, UID_INDEX, uidIndex } from '../../runtime/ownership.ts';
import { type Store, withoutManagedFields } from '../../runtime/store.ts';
import { GRANTABLE_CLUSTER_ROLE } from '../../rights.ts';

export const MCPToolPolicies = namespaced<MCPToolPolicy & KubeObject>(API_VERSION, 'MCPToolPolicy', 'mcptoolpolicies');
export const MCPServers = namespaced<MCPServer & KubeObject>(API_VERSION, 'MCPServer', 'mcpservers');

/** Names of indexes. */
export const By = {
  /** Pods by the key of the server that they run for. */
  Server: 'server',
  /** Events by the key of the pod that they are about. */
  Pod: 'pod',
  /** Servers and policies by their namespace. */
  Namespace: 'namespace',
  /** Servers by the key of a PersistentVolumeClaim that they write to. */
  Claim: 'claim',
  /** Servers by `Kind/namespace/name` of what their pods refer to. */
  Reference: 'reference',
} as const;

export interface StoreSettings {
  readonly secretRotation: boolean;
  /** ClusterRoles beside the grantable one whose rules matter. */
  readonly clusterRoles: readonly string[];
  /** `Kind/namespace/name` of what the pods of a server refer to. */
  readonly referenceKeys: (server: MCPServer) => readonly string[];
}

export type Stores = ReturnType<typeof watchStores>;

/** One watch per kind. Children are held in full, what is only referred to by its metadata. */
export function watchStores(manager: Pick<Manager, 'watch'>, { secretRotation, clusterRoles, referenceKeys }: StoreSettings) {
  const owned = {
    labelSelector: `${Label.ManagedBy}=${FIELD_MANAGER},${Label.Server}`,
    indexes: { [OWNER_INDEX]: ownerIndex(Annotation.AppliedDigest) },
  };
  const metadata = { metadataOnly: true, transform: nameOnly };
  const one = (name: string) => ({ fieldSelector: `metadata.name=${name}` });
  const watch = <T extends KubeObject>(resource: Resource<T>, settings: WatchSettings<T>): Store<T> => manager.watch(resource, settings);
  return {
    servers: watch(MCPServers, {
      indexes: { [By.Claim]: writtenClaims, [By.Reference]: referenceKeys, [By.Namespace]: namespaceOf, [UID_INDEX]: uidIndex },
    }),
    policies: watch(MCPToolPolicies, { indexes: { [By.Namespace]: namespaceOf } }),
    deployments: watch(Deployments, { ...owned, transform: compactManagers([FIELD_MANAGER, REPLICAS_FIELD_MANAGER]) }),
    services: watch(Services, owned),
    serviceAccounts: watch(ServiceAccounts, owned),
    configMaps: watch(ConfigMaps, owned),
    roles: watch(Roles, owned),
    roleBindings: watch(RoleBindings, owned),
    clusterRoles: watch(ClusterRoles, owned),
    clusterRoleBindings: watch(ClusterRoleBindings, owned),
    autoscalers: watch(HorizontalPodAutoscalers, { ...owned, transform: slimAutoscaler }),
    disruptionBudgets: watch(PodDisruptionBudgets, { ...owned, transform: withoutStatus }),
    networkPolicies: watch(NetworkPolicies, owned),
    ingresses: watch(Ingresses, owned),
    httpRoutes: watch(HTTPRoutes, { ...owned, optional: true }),
    podMonitors: watch(PodMonitors, { ...owned, optional: true }),
    pods: watch(Pods, { labelSelector: Label.Server, transform: slimPod, indexes: { [By.Server]: serverOfOwnPod } }),
    warnings: watch(Events, {
      fieldSelector: 'type=Warning,regarding.kind=Pod',
      silent: true,
      transform: slimEvent,
      indexes: { [By.Pod]: podOfEvent },
    }),
    existing: {
      ConfigMap: watch<KubeObject>(ConfigMaps, metadata),
      PersistentVolumeClaim: watch<KubeObject>(PersistentVolumeClaims, metadata),
      ServiceAccount: watch<KubeObject>(ServiceAccounts, metadata),
      // Where servers run that run elsewhere.
      Service: watch(Services, { transform: slimService }),
      Secret: secretRotation ? watch<KubeObject>(Secrets, metadata) : undefined,
    },
    grantable: watch(ClusterRoles, one(GRANTABLE_CLUSTER_ROLE)),
    bindable: new Map(clusterRoles.map((name) => [name, watch(ClusterRoles, one(name))])),
    apiServerService: watch(Services, { namespace: 'default', ...one('kubernetes') }),
    apiServerEndpoints: watch(EndpointSlices, { namespace: 'default', labelSelector: 'kubernetes.io/service-name=kubernetes' }),
  };
}

const namespaceOf = ({ metadata: { namespace = '' } }: KubeObject): readonly string[] => [namespace];

export const serverOfPod = ({ metadata: { namespace = '', labels } }: KubeObject): readonly Key[] => {
  const name = labels?.[Label.Server];
  return name === undefined ? [] : [keyOf({ namespace, name })];
};

/** Every pod may carry the label, and whoever made it answers in a guard's place: only one of a ReplicaSet of the server's Deployment is the server's. */
export function serverOfOwnPod(pod: KubeObject): readonly Key[] {
  const { labels = {} } = pod.metadata;
  const owner = controllerOf(pod);
  // A Deployment names its ReplicaSets after itself and their template.
  const replicaSet = `${labels[Label.Server]}-${labels[TEMPLATE_HASH]}`;
  return owner?.kind === 'ReplicaSet' && owner.apiVersion.startsWith('apps/') && owner.name === replicaSet ? serverOfPod(pod) : [];
}

const TEMPLATE_HASH = 'pod-template-hash';

export const podOfEvent = ({ regarding }: Event): readonly Key[] =>
  regarding?.name === undefined ? [] : [keyOf({ namespace: regarding.namespace ?? '', name: regarding.name })];

export const referenceKey = (kind: string, namespace: string, name: string): string => `${kind}/${namespace}/${name}`;

const writtenClaims = ({ metadata: { namespace = '' }, spec }: MCPServer): readonly Key[] =>
  (spec.mounts ?? [])
    .filter((mount) => mount.persistentVolumeClaim !== undefined && !isReadOnly(mount))
    .map(({ persistentVolumeClaim }) => keyOf({ namespace, name: persistentVolumeClaim?.claimName ?? '' }));

/** Only existence and version matter: labels and annotations of every ConfigMap of a cluster would be most of the memory. */
const nameOnly = ({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }: KubeObject): KubeObject => ({
  apiVersion,
  kind,
  metadata: {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  },
});

/** The spec of a pod is the largest part of it, and nothing of it is read. */
function slimPod({ apiVersion, kind, metadata, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, creationTimestamp, deletionTimestamp } = metadata;
  const owner = controllerOf({ apiVersion, kind, metadata });
  const ownerReferences = owner === undefined ? undefined : [owner];
  const slim = { name, namespace, uid, resourceVersion, labels, ownerReferences, creationTimestamp, deletionTimestamp };
  const { phase, podIP, reason, message, conditions, initContainerStatuses, containerStatuses } = status ?? {};
  return {
    apiVersion,
    kind,
    metadata: withoutUndefined(slim),
    status: withoutUndefined({ phase, podIP, reason, message, conditions, initContainerStatuses, containerStatuses }),
  } as Pod;
}

/** Who is behind a Service, and at which addresses and ports it is reached. */
function slimService(service: Service): Service {
  const { clusterIPs, ports, selector, type, externalName } = service.spec ?? {};
  return { ...nameOnly(service), spec: withoutUndefined({ clusterIPs, ports, selector, type, externalName }) } as Service;
}

/** Its figures change every 15 s; only whether it can scale, and why not, is read. */
export function slimAutoscaler(autoscaler: HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const { status, ...rest } = withoutManagedFields(autoscaler);
  return { ...rest, ...(status?.conditions !== undefined && { status: { conditions: status.conditions } }) } as HorizontalPodAutoscaler;
}

/** Nothing of it is read. */
function withoutStatus<T extends KubeObject>(object: T): T {
  const { status: _status, ...rest } = withoutManagedFields(object) as T & { readonly status?: unknown };
  return rest as unknown as T;
}

function slimEvent({ apiVersion, kind, metadata, regarding, reason, note, series, deprecatedCount }: Event): Event {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    apiVersion,
    kind,
    ...withoutUndefined({ regarding, reason, note, series, deprecatedCount }),
    metadata: withoutUndefined({ name, namespace, uid, resourceVersion }),
  } as Event;
}

const withoutUndefined = <T extends object>(object: T): T =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
