import { GROUP } from '../../api/group.ts';
import { KINDS } from '../../api/kinds.ts';
import { accessPolicy, accessPolicyBinding } from '../../operator/controllers/mcpserver/admission.ts';
import { tierPolicy, tierPolicyBinding } from '../../operator/controllers/mcptoolpolicy/admission.ts';
import { defaultGrantable, GRANTABLE_CLUSTER_ROLE, rights } from '../../operator/rights.ts';
import type { Artifact } from './artifact.ts';
import { yamlDocument } from './yaml.ts';

interface Manifest {
  readonly apiVersion: 'rbac.authorization.k8s.io/v1';
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Readonly<Record<string, string>> };
  readonly rules?: readonly object[];
  readonly aggregationRule?: object;
  readonly roleRef?: object;
  readonly subjects?: readonly object[];
}

const NAMESPACE = 'mcp-fleet-system';
const SERVICE_ACCOUNT = 'mcp-fleet-operator';

/** Which ClusterRoles `kubernetesAccess.clusterRoles` may name unless the operator is told otherwise. */
const DEFAULT_CLUSTER_ROLES = ['view'];

const LABELS = { 'app.kubernetes.io/name': 'mcp-fleet-operator', 'app.kubernetes.io/part-of': 'mcp-fleet' };

/** `config/rbac`, `config/admission` and `config/secret-rotation`, from the tables and functions that the operator itself uses. */
export function rbac(): Artifact[] {
  const table = rights(DEFAULT_CLUSTER_ROLES);
  return [
    file('config/rbac/operator.yaml', [
      role('ClusterRole', 'mcp-fleet-operator', [...table.namespaced, ...table.clusterWide]),
      binding('ClusterRoleBinding', 'mcp-fleet-operator', 'ClusterRole', 'mcp-fleet-operator'),
    ]),
    file('config/rbac/leader-election.yaml', [
      role('Role', 'mcp-fleet-leader-election', table.leaderElection),
      binding('RoleBinding', 'mcp-fleet-leader-election', 'Role', 'mcp-fleet-leader-election'),
    ]),
    file('config/rbac/metrics.yaml', [
      role('ClusterRole', 'mcp-fleet-metrics-auth', table.metricsAuth),
      binding('ClusterRoleBinding', 'mcp-fleet-metrics-auth', 'ClusterRole', 'mcp-fleet-metrics-auth'),
      role('ClusterRole', 'mcp-fleet-metrics-reader', [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]),
    ]),
    file('config/rbac/grantable.yaml', grantable()),
    file('config/rbac/users.yaml', users()),
    file('config/secret-rotation/role.yaml', [
      role('ClusterRole', 'mcp-fleet-secret-rotation', table.secretRotation),
      binding('ClusterRoleBinding', 'mcp-fleet-secret-rotation', 'ClusterRole', 'mcp-fleet-secret-rotation'),
    ]),
    file('config/admission/kubernetes-access.yaml', [accessPolicy(), accessPolicyBinding()]),
    file('config/admission/policy-namespaces.yaml', [tierPolicy(NAMESPACE), tierPolicyBinding()]),
  ];
}

/** What servers may be given through `kubernetesAccess.rules`; the operator is bound to it, since it can grant only what it holds. */
function grantable(): Manifest[] {
  return [
    {
      // Without `rules`: the control plane fills them in and owns them.
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: GRANTABLE_CLUSTER_ROLE, labels: LABELS },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { 'mcp-fleet.dev/grantable': 'true' } }] },
    },
    role('ClusterRole', `${GRANTABLE_CLUSTER_ROLE}-workloads`, defaultGrantable, { 'mcp-fleet.dev/grantable': 'true' }),
    binding('ClusterRoleBinding', GRANTABLE_CLUSTER_ROLE, 'ClusterRole', GRANTABLE_CLUSTER_ROLE),
    // Who may ask for kubernetesAccess: bind people to this one, per namespace or cluster-wide.
    role('ClusterRole', 'mcp-fleet-access-granter', [
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: [GRANTABLE_CLUSTER_ROLE], verbs: ['bind'] },
    ]),
  ];
}

/** For people: whoever may view, edit or administer a namespace may do the same with our kinds. */
function users(): Manifest[] {
  const resources = KINDS.map((kind) => kind.plural);
  const scales = KINDS.filter((kind) => kind.scale !== undefined).map((kind) => `${kind.plural}/scale`);
  const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];
  const toView = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
  const toEdit = { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true', 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' };
  return [
    role('ClusterRole', 'mcp-fleet-view', [{ apiGroups: [GROUP], resources, verbs: ['get', 'list', 'watch'] }], toView),
    role(
      'ClusterRole',
      'mcp-fleet-edit',
      [
        { apiGroups: [GROUP], resources, verbs: write },
        { apiGroups: [GROUP], resources: scales, verbs: ['get', 'patch', 'update'] },
      ],
      toEdit,
    ),
  ];
}

function role(
  kind: 'Role' | 'ClusterRole',
  name: string,
  rules: readonly object[],
  labels: Readonly<Record<string, string>> = {},
): Manifest {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, ...(kind === 'Role' ? { namespace: NAMESPACE } : {}), labels: { ...LABELS, ...labels } },
    rules,
  };
}

function binding(kind: 'RoleBinding' | 'ClusterRoleBinding', name: string, roleKind: string, roleName: string): Manifest {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, ...(kind === 'RoleBinding' ? { namespace: NAMESPACE } : {}), labels: LABELS },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: roleKind, name: roleName },
    subjects: [{ kind: 'ServiceAccount', name: SERVICE_ACCOUNT, namespace: NAMESPACE }],
  };
}

function file(path: string, documents: readonly object[]): Artifact {
  return { path, content: yamlDocument(...documents) };
}
