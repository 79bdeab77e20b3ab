import type { PolicyRule } from './kube/wire.ts';

/**
 * Every permission of the operator, by the role that carries it. `config/rbac` and the chart are made from this table, and the integration tests
 * compare it with the audit log of an API server: what is not used is not here, what is used is.
 */
export interface Rights {
  /** In every namespace where MCPServers may live: one ClusterRole bound cluster-wide, or Roles with `--namespaces`. */
  readonly namespaced: readonly PolicyRule[];
  /** Needs a ClusterRole in any case. */
  readonly clusterWide: readonly PolicyRule[];
  /** In the operator's own namespace. */
  readonly leaderElection: readonly PolicyRule[];
  /** For `/metrics` behind TokenReview and SubjectAccessReview. */
  readonly metricsAuth: readonly PolicyRule[];
  /** Optional role `mcp-fleet-secret-rotation`, with `--secret-rotation`: only metadata is requested with it. */
  readonly secretRotation: readonly PolicyRule[];
}

/** The aggregated ClusterRole with everything that `kubernetesAccess.rules` may ask for. The operator is bound to it, too: it grants what it holds. */
export const GRANTABLE_CLUSTER_ROLE = 'mcp-fleet-grantable';

/**
 * Verbs on the kinds that the operator makes. The API server asks for `create` when an apply meets no object; `get` tells whose the object is that
 * already has the name; `list` is for API servers that cannot stream lists. `update` is never used.
 */
const owned = ['get', 'list', 'watch', 'create', 'patch', 'delete'];

/** @param clusterRoles those that `kubernetesAccess.clusterRoles` may name (`--grantable-cluster-roles`) */
export const rights = (clusterRoles: readonly string[]): Rights => ({
  namespaced: [
    // `patch` is for the finalizer alone: the operator never writes a spec.
    { apiGroups: ['mcp-fleet.dev'], resources: ['mcpservers'], verbs: ['list', 'watch', 'patch'] },
    { apiGroups: ['mcp-fleet.dev'], resources: ['mcpservers/status'], verbs: ['patch'] },
    // Asked for by the admission plugin OwnerReferencesPermissionEnforcement (on in OpenShift), since owner references block deletion.
    { apiGroups: ['mcp-fleet.dev'], resources: ['mcpservers/finalizers'], verbs: ['update'] },
    { apiGroups: ['mcp-fleet.dev'], resources: ['mcptoolpolicies'], verbs: ['list', 'watch'] },
    { apiGroups: ['mcp-fleet.dev'], resources: ['mcptoolpolicies/status'], verbs: ['patch'] },
    // The keys with which guards seal sessions. They are made and never read.
    { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
    // An annotation makes the kubelet look at its volumes. Unlike `patch pods` this does not let the operator change what runs.
    { apiGroups: [''], resources: ['pods/status'], verbs: ['patch'] },
    { apiGroups: ['apps'], resources: ['deployments'], verbs: owned },
    { apiGroups: [''], resources: ['services', 'serviceaccounts'], verbs: owned },
    // What a pod reads from a ConfigMap decides when it restarts. Watches ask for metadata only.
    { apiGroups: [''], resources: ['configmaps'], verbs: owned },
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles', 'rolebindings'], verbs: owned },
    { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: owned },
    { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: owned },
    { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies', 'ingresses'], verbs: owned },
    { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes'], verbs: owned },
    { apiGroups: ['monitoring.coreos.com'], resources: ['podmonitors'], verbs: owned },
    { apiGroups: [''], resources: ['pods', 'persistentvolumeclaims'], verbs: ['list', 'watch'] },
    { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['list', 'watch', 'create', 'patch'] },
  ],
  clusterWide: [
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles', 'clusterrolebindings'], verbs: owned },
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: [...clusterRoles], verbs: ['bind'] },
    // Who issues this cluster's ServiceAccount tokens, and the public keys to check them with. Kubernetes lets every ServiceAccount read that
    // unless an administrator took it away.
    { nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] },
    // The addresses of the API server, in namespace `default`: servers with kubernetesAccess may reach those.
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    { apiGroups: [''], resources: ['services'], resourceNames: ['kubernetes'], verbs: ['list', 'watch'] },
  ],
  leaderElection: [
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: ['mcp-fleet-operator'],
      verbs: ['get', 'update', 'list', 'watch'],
    },
    { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
  ],
  metricsAuth: [
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ],
  secretRotation: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list', 'watch'] }],
});

/** What `mcp-fleet-grantable` ships with: reading common workload kinds, without Secrets. Other ClusterRoles with label `mcp-fleet.dev/grantable: "true"` add to it. */
export const defaultGrantable: readonly PolicyRule[] = [
  {
    apiGroups: [''],
    resources: [
      'configmaps',
      'endpoints',
      'events',
      'limitranges',
      'namespaces',
      'nodes',
      'persistentvolumeclaims',
      'persistentvolumes',
      'pods',
      'pods/log',
      'pods/status',
      'replicationcontrollers',
      'resourcequotas',
      'serviceaccounts',
      'services',
    ],
    verbs: ['get', 'list', 'watch'],
  },
  {
    apiGroups: ['apps'],
    resources: [
      'controllerrevisions',
      'daemonsets',
      'deployments',
      'deployments/scale',
      'deployments/status',
      'replicasets',
      'replicasets/scale',
      'replicasets/status',
      'statefulsets',
      'statefulsets/scale',
      'statefulsets/status',
    ],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['batch'], resources: ['cronjobs', 'jobs'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['metrics.k8s.io'], resources: ['nodes', 'pods'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'ingressclasses', 'networkpolicies'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['storage.k8s.io'], resources: ['storageclasses', 'volumeattachments'], verbs: ['get', 'list', 'watch'] },
];
