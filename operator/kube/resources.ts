import type { KubeObject, Resource } from './object.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  Deployment,
  EndpointSlice,
  Event,
  HorizontalPodAutoscaler,
  Ingress,
  Lease,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  Role,
  RoleBinding,
  Secret,
  Service,
  ServiceAccount,
} from './wire.ts';

/** A namespaced kind of `apiVersion` (`group/version`, or `v1` for the core group). */
export function namespaced<T extends KubeObject = KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> {
  return { ...groupVersion(apiVersion), kind, plural, namespaced: true };
}

/** A cluster-scoped kind of `apiVersion`. */
export function clusterScoped<T extends KubeObject = KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> {
  return { ...groupVersion(apiVersion), kind, plural, namespaced: false };
}

function groupVersion(apiVersion: string): { group: string; version: string } {
  const [group = '', version] = apiVersion.split('/');
  return version === undefined ? { group: '', version: group } : { group, version };
}

export const apiVersionOf = ({ group, version }: Resource): string => (group === '' ? version : `${group}/${version}`);

/** A `*.gateway.networking.k8s.io`, CRD or other object whose members nobody here needs typed. */
export interface Untyped extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

const RBAC = 'rbac.authorization.k8s.io/v1';

export const Pods = namespaced<Pod>('v1', 'Pod', 'pods');
export const Services = namespaced<Service>('v1', 'Service', 'services');
export const ServiceAccounts = namespaced<ServiceAccount>('v1', 'ServiceAccount', 'serviceaccounts');
export const ConfigMaps = namespaced<ConfigMap>('v1', 'ConfigMap', 'configmaps');
export const Secrets = namespaced<Secret>('v1', 'Secret', 'secrets');
export const PersistentVolumeClaims = namespaced<PersistentVolumeClaim>('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const Namespaces = clusterScoped<Namespace>('v1', 'Namespace', 'namespaces');
export const Nodes = clusterScoped<Untyped>('v1', 'Node', 'nodes');
export const Deployments = namespaced<Deployment>('apps/v1', 'Deployment', 'deployments');
export const ReplicaSets = namespaced<ReplicaSet>('apps/v1', 'ReplicaSet', 'replicasets');
export const Roles = namespaced<Role>(RBAC, 'Role', 'roles');
export const RoleBindings = namespaced<RoleBinding>(RBAC, 'RoleBinding', 'rolebindings');
export const ClusterRoles = clusterScoped<ClusterRole>(RBAC, 'ClusterRole', 'clusterroles');
export const ClusterRoleBindings = clusterScoped<ClusterRoleBinding>(RBAC, 'ClusterRoleBinding', 'clusterrolebindings');
export const HorizontalPodAutoscalers = namespaced<HorizontalPodAutoscaler>(
  'autoscaling/v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
);
export const PodDisruptionBudgets = namespaced<PodDisruptionBudget>('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
export const NetworkPolicies = namespaced<NetworkPolicy>('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
export const Ingresses = namespaced<Ingress>('networking.k8s.io/v1', 'Ingress', 'ingresses');
export const EndpointSlices = namespaced<EndpointSlice>('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices');
export const Leases = namespaced<Lease>('coordination.k8s.io/v1', 'Lease', 'leases');
export const Events = namespaced<Event>('events.k8s.io/v1', 'Event', 'events');
export const CustomResourceDefinitions = clusterScoped<Untyped>(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
);
export const TokenReviews = clusterScoped<TokenReview>('authentication.k8s.io/v1', 'TokenReview', 'tokenreviews');
export const SubjectAccessReviews = clusterScoped<SubjectAccessReview>(
  'authorization.k8s.io/v1',
  'SubjectAccessReview',
  'subjectaccessreviews',
);
export const SelfSubjectAccessReviews = clusterScoped<SubjectAccessReview>(
  'authorization.k8s.io/v1',
  'SelfSubjectAccessReview',
  'selfsubjectaccessreviews',
);
export const ValidatingAdmissionPolicies = clusterScoped<Untyped>(
  'admissionregistration.k8s.io/v1',
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
);
export const ValidatingAdmissionPolicyBindings = clusterScoped<Untyped>(
  'admissionregistration.k8s.io/v1',
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
);
/** Optional: installed with the Gateway API. */
export const HTTPRoutes = namespaced<Untyped>('gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes');
/** Optional: installed with the Prometheus operator. */
export const PodMonitors = namespaced<Untyped>('monitoring.coreos.com/v1', 'PodMonitor', 'podmonitors');

/** Questions to the API server have no name of their own. */
type Review<K extends string, Spec, Answer> = Omit<KubeObject, 'metadata'> & {
  readonly kind: K;
  readonly metadata: KubeObject['metadata'];
  readonly spec: Spec;
  readonly status?: Answer;
};

export type TokenReview = Review<
  'TokenReview',
  { readonly token: string; readonly audiences?: readonly string[] },
  {
    readonly authenticated?: boolean;
    readonly user?: { readonly username?: string; readonly uid?: string; readonly groups?: readonly string[] };
    readonly audiences?: readonly string[];
    readonly error?: string;
  }
>;

export type SubjectAccessReview = Review<
  'SubjectAccessReview' | 'SelfSubjectAccessReview',
  {
    readonly user?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly nonResourceAttributes?: { readonly path: string; readonly verb: string };
    readonly resourceAttributes?: {
      readonly namespace?: string;
      readonly verb: string;
      readonly group?: string;
      readonly resource: string;
      readonly subresource?: string;
      readonly name?: string;
    };
  },
  { readonly allowed: boolean; readonly denied?: boolean; readonly reason?: string; readonly evaluationError?: string }
>;
