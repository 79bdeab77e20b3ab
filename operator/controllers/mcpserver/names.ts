import { createHash } from 'node:crypto';
import { FIELD_MANAGER, Label } from '../../../api/group.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import type { ObjectMeta, ObjectName } from '../../kube/object.ts';

/** The name that an MCPServer has in the RBAC of other namespaces and of the cluster. */
export const clusterName = ({ namespace = '', name }: ObjectName): string => `mcp-fleet:${namespace}:${name}`;

/** The MCPServer that such a name belongs to; `undefined` for other names. */
export function ownerOfClusterName(name: string): ObjectName | undefined {
  const [prefix, namespace, server] = name.split(':');
  return prefix === 'mcp-fleet' && namespace !== undefined && namespace !== '' && server !== undefined && server !== ''
    ? { namespace, name: server }
    : undefined;
}

/** Selects the pods of a server. Part of a Deployment's immutable selector: it can never change. */
export const selector = (server: MCPServer): Readonly<Record<string, string>> => ({ [Label.Server]: server.metadata.name });

/** The recommended labels of Kubernetes, and the one by which the operator finds its own. */
export const labels = (server: MCPServer): Readonly<Record<string, string>> => ({
  [Label.Name]: 'mcp-server',
  [Label.Instance]: server.metadata.name,
  [Label.Component]: 'server',
  [Label.ManagedBy]: FIELD_MANAGER,
  [Label.PartOf]: 'mcp-fleet',
  ...selector(server),
});

/**
 * Metadata of a child in the server's namespace; applying adds the owner reference. Labels and annotations of the MCPServer are not copied: the tracking label of a GitOps tool
 * would make it believe that the child is its own, and prune it.
 */
export const childMeta = (server: MCPServer, name = server.metadata.name, annotations?: Readonly<Record<string, string>>): ObjectMeta => ({
  name,
  namespace: server.metadata.namespace ?? '',
  labels: labels(server),
  ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations: sorted(annotations) }),
});

/** Metadata of a child that no owner reference can hold: in another namespace (owners cannot cross them) or cluster-scoped. */
export const foreignMeta = (server: MCPServer, name: string, namespace?: string): ObjectMeta => ({
  name,
  ...(namespace !== undefined && { namespace }),
  labels: labels(server),
});

/** The same members in alphabetical order, so that equal wishes are equal bytes. */
export const sorted = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** Eight hexadecimal characters that stand for a text in a name. */
export const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);
