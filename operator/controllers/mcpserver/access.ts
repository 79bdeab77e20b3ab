import type { MCPServer } from '../../../api/mcpserver.ts';
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from '../../kube/wire.ts';
import type { ChildInput } from './input.ts';
import { childMeta, clusterName, foreignMeta } from './names.ts';
import { serviceAccountName } from './serviceaccount.ts';

const API_GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${API_GROUP}/v1`;

/**
 * The rights of a server in the API of its cluster. In its own namespace objects are called `<name>`, with an owner reference; elsewhere and
 * cluster-wide `mcp-fleet:<ns>:<name>`, removed by the finalizer. A binding to a ClusterRole has that name appended, since what a binding refers to
 * can never change.
 */
export function roles({ server }: ChildInput): Role[] {
  const rules = server.spec.kubernetesAccess?.rules ?? [];
  if (rules.length === 0 || isClusterWide(server)) return [];
  return namespaces(server).map((namespace) => ({
    apiVersion: API_VERSION,
    kind: 'Role',
    metadata: metaIn(server, namespace),
    rules: rules.map(policyRule),
  }));
}

export function roleBindings({ server }: ChildInput): RoleBinding[] {
  if (server.spec.kubernetesAccess === undefined || isClusterWide(server)) return [];
  return namespaces(server).flatMap((namespace) =>
    references(server, 'Role', metaIn(server, namespace).name).map(({ suffix, roleRef }) => ({
      apiVersion: API_VERSION,
      kind: 'RoleBinding' as const,
      metadata: metaIn(server, namespace, suffix),
      roleRef,
      subjects: subjects(server),
    })),
  );
}

/** Inline rules that hold everywhere need a ClusterRole of their own. */
export function clusterRole({ server }: ChildInput): ClusterRole | undefined {
  const rules = server.spec.kubernetesAccess?.rules ?? [];
  if (rules.length === 0 || !isClusterWide(server)) return undefined;
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRole',
    metadata: foreignMeta(server, clusterName(server.metadata)),
    rules: rules.map(policyRule),
  };
}

export function clusterRoleBindings({ server }: ChildInput): ClusterRoleBinding[] {
  if (!isClusterWide(server)) return [];
  return references(server, 'ClusterRole', clusterName(server.metadata)).map(({ suffix, roleRef }) => ({
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: foreignMeta(server, clusterName(server.metadata) + suffix),
    roleRef,
    subjects: subjects(server),
  }));
}

/** Whether objects remain when the MCPServer goes, so that it needs a finalizer. */
export const reachesBeyondNamespace = (server: MCPServer): boolean =>
  isClusterWide(server) || (server.spec.kubernetesAccess !== undefined && namespaces(server).length > 1);

const isClusterWide = ({ spec }: MCPServer): boolean => spec.kubernetesAccess?.clusterWide === true;

function namespaces({ metadata: { namespace = '' }, spec }: MCPServer): string[] {
  const others = (spec.kubernetesAccess?.namespaces ?? []).filter((other) => other !== namespace);
  return [namespace, ...others.toSorted()];
}

const metaIn = (server: MCPServer, namespace: string, suffix = '') =>
  namespace === server.metadata.namespace
    ? childMeta(server, server.metadata.name + suffix)
    : foreignMeta(server, clusterName(server.metadata) + suffix, namespace);

/** What a server is bound to: the role made of its inline rules, and the ClusterRoles that it names. */
function references(server: MCPServer, kind: 'Role' | 'ClusterRole', ownRole: string) {
  const { rules = [], clusterRoles = [] } = server.spec.kubernetesAccess ?? {};
  return [
    ...(rules.length > 0 ? [{ suffix: '', roleRef: { apiGroup: API_GROUP, kind: kind as string, name: ownRole } }] : []),
    ...clusterRoles.toSorted().map((name) => ({ suffix: `:${name}`, roleRef: { apiGroup: API_GROUP, kind: 'ClusterRole', name } })),
  ];
}

const subjects = (server: MCPServer) => [
  { kind: 'ServiceAccount', name: serviceAccountName(server), namespace: server.metadata.namespace ?? '' },
];

const policyRule = ({ apiGroups, resources, verbs, resourceNames }: PolicyRule): PolicyRule => ({
  ...(apiGroups !== undefined && { apiGroups }),
  ...(resources !== undefined && { resources }),
  verbs,
  ...(resourceNames !== undefined && resourceNames.length > 0 && { resourceNames }),
});
