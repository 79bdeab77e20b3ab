import type * as k8s from '@kubernetes/client-node';
import type { ObjectMeta } from './object.ts';

/** A generated client type as it travels in JSON: every `Date` is an RFC 3339 string. The import costs nothing at run time. */
export type Wire<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [K in keyof T]: Wire<T[K]> }
      : T;

type Kind<T, V extends string, K extends string> = Omit<Wire<T>, 'apiVersion' | 'kind' | 'metadata'> & {
  readonly apiVersion: V;
  readonly kind: K;
  readonly metadata: ObjectMeta;
};

export type Deployment = Kind<k8s.V1Deployment, 'apps/v1', 'Deployment'>;
export type ReplicaSet = Kind<k8s.V1ReplicaSet, 'apps/v1', 'ReplicaSet'>;
export type Pod = Kind<k8s.V1Pod, 'v1', 'Pod'>;
export type Service = Kind<k8s.V1Service, 'v1', 'Service'>;
export type ServiceAccount = Kind<k8s.V1ServiceAccount, 'v1', 'ServiceAccount'>;
export type ConfigMap = Kind<k8s.V1ConfigMap, 'v1', 'ConfigMap'>;
export type Secret = Kind<k8s.V1Secret, 'v1', 'Secret'>;
export type PersistentVolumeClaim = Kind<k8s.V1PersistentVolumeClaim, 'v1', 'PersistentVolumeClaim'>;
export type Namespace = Kind<k8s.V1Namespace, 'v1', 'Namespace'>;
export type Role = Kind<k8s.V1Role, 'rbac.authorization.k8s.io/v1', 'Role'>;
export type RoleBinding = Kind<k8s.V1RoleBinding, 'rbac.authorization.k8s.io/v1', 'RoleBinding'>;
export type ClusterRole = Kind<k8s.V1ClusterRole, 'rbac.authorization.k8s.io/v1', 'ClusterRole'>;
export type ClusterRoleBinding = Kind<k8s.V1ClusterRoleBinding, 'rbac.authorization.k8s.io/v1', 'ClusterRoleBinding'>;
export type HorizontalPodAutoscaler = Kind<k8s.V2HorizontalPodAutoscaler, 'autoscaling/v2', 'HorizontalPodAutoscaler'>;
export type PodDisruptionBudget = Kind<k8s.V1PodDisruptionBudget, 'policy/v1', 'PodDisruptionBudget'>;
export type NetworkPolicy = Kind<k8s.V1NetworkPolicy, 'networking.k8s.io/v1', 'NetworkPolicy'>;
export type Ingress = Kind<k8s.V1Ingress, 'networking.k8s.io/v1', 'Ingress'>;
export type EndpointSlice = Kind<k8s.V1EndpointSlice, 'discovery.k8s.io/v1', 'EndpointSlice'>;
export type Lease = Kind<k8s.V1Lease, 'coordination.k8s.io/v1', 'Lease'>;
export type Event = Kind<k8s.EventsV1Event, 'events.k8s.io/v1', 'Event'>;

export type PodTemplateSpec = Wire<k8s.V1PodTemplateSpec>;
export type PodSpec = Wire<k8s.V1PodSpec>;
export type Container = Wire<k8s.V1Container>;
export type Volume = Wire<k8s.V1Volume>;
export type VolumeMount = Wire<k8s.V1VolumeMount>;
export type PolicyRule = Wire<k8s.V1PolicyRule>;
export type NetworkPolicyPeer = Wire<k8s.V1NetworkPolicyPeer>;
