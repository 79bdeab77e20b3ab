import { API_VERSION } from '../api/group.ts';
import type { Collection } from './kubeapi.ts';

export const mcpServers: Collection = { apiVersion: API_VERSION, plural: 'mcpservers' };
export const configMaps: Collection = { apiVersion: 'v1', plural: 'configmaps' };
export const deployments: Collection = { apiVersion: 'apps/v1', plural: 'deployments' };
export const events: Collection = { apiVersion: 'v1', plural: 'events' };
export const pods: Collection = { apiVersion: 'v1', plural: 'pods' };

/** A kind whose objects may belong to a server. */
export interface ChildKind extends Collection {
  readonly kind: string;
  /** Only names are asked for: contents are large or secret. */
  readonly metadataOnly?: boolean;
  /** The API may be absent. */
  readonly optional?: boolean;
  /** Objects may lie in other namespaces, or in none. */
  readonly elsewhere?: boolean;
}

/** In the order in which they are shown. */
export const childKinds: readonly ChildKind[] = [
  { kind: 'Deployment', ...deployments },
  { kind: 'ReplicaSet', apiVersion: 'apps/v1', plural: 'replicasets' },
  { kind: 'Pod', ...pods },
  { kind: 'Service', apiVersion: 'v1', plural: 'services' },
  { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', plural: 'endpointslices' },
  { kind: 'HorizontalPodAutoscaler', apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' },
  { kind: 'PodDisruptionBudget', apiVersion: 'policy/v1', plural: 'poddisruptionbudgets' },
  { kind: 'HTTPRoute', apiVersion: 'gateway.networking.k8s.io/v1', plural: 'httproutes', optional: true },
  { kind: 'Ingress', apiVersion: 'networking.k8s.io/v1', plural: 'ingresses' },
  { kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies' },
  { kind: 'PodMonitor', apiVersion: 'monitoring.coreos.com/v1', plural: 'podmonitors', optional: true },
  { kind: 'ServiceAccount', apiVersion: 'v1', plural: 'serviceaccounts' },
  { kind: 'Role', apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'roles', elsewhere: true },
  { kind: 'RoleBinding', apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'rolebindings', elsewhere: true },
  { kind: 'ClusterRole', apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'clusterroles', elsewhere: true },
  { kind: 'ClusterRoleBinding', apiVersion: 'rbac.authorization.k8s.io/v1', plural: 'clusterrolebindings', elsewhere: true },
  { kind: 'ConfigMap', ...configMaps, metadataOnly: true },
  { kind: 'Secret', apiVersion: 'v1', plural: 'secrets', metadataOnly: true },
];
