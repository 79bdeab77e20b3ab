import { Label } from '../api/group.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import type { KubeObject } from './kubeapi.ts';
import { objectState, serverState, type ObjectState } from './objectstate.ts';

/** An object with its kind: lists leave it out of their items. */
export interface Found {
  readonly kind: string;
  readonly object: KubeObject;
}

export interface TreeNode {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly ready: boolean | undefined;
  readonly state: string;
  readonly created: string | undefined;
  readonly children: readonly TreeNode[];
}

/**
 * A server and what belongs to it: below each object those that it owns, below the server also what carries its name in other namespaces or in none,
 * where no owner reference can be. Old ReplicaSets without pods are left out. Children keep the order of `found`.
 */
export function serverTree(server: MCPServer, found: readonly Found[]): TreeNode {
  const own = found.filter(({ object }) => belongsTo(server, object)).filter(({ kind, object }) => !isSpent(kind, object));
  const byOwner = new Map<string, Found[]>();
  const known = new Set([server.metadata.uid, ...own.map(({ object }) => object.metadata.uid)]);
  for (const entry of own) {
    const owner = entry.object.metadata.ownerReferences?.find(({ uid }) => known.has(uid))?.uid ?? server.metadata.uid ?? '';
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), entry]);
  }
  const below = (uid: string | undefined): readonly TreeNode[] =>
    (byOwner.get(uid ?? '') ?? []).map(({ kind, object }) => node(kind, object, objectState(kind, object), below(object.metadata.uid)));
  return node('MCPServer', server, serverState(server), below(server.metadata.uid));
}

function belongsTo(server: MCPServer, { metadata }: KubeObject): boolean {
  const { name, namespace } = server.metadata;
  if (metadata.labels?.[Label.Server] !== name) return false;
  return metadata.namespace === namespace || metadata.name === `mcp-fleet:${namespace}:${name}`;
}

function isSpent(kind: string, object: KubeObject): boolean {
  const { spec, status } = object as { readonly spec?: { readonly replicas?: number }; readonly status?: { readonly replicas?: number } };
  return kind === 'ReplicaSet' && spec?.replicas === 0 && (status?.replicas ?? 0) === 0;
}

function node(kind: string, object: KubeObject, state: ObjectState, children: readonly TreeNode[]): TreeNode {
  const { name, namespace, creationTimestamp } = object.metadata;
  return { kind, name, namespace, ready: state.ready, state: state.text, created: creationTimestamp, children };
}

/** One line of a drawn tree. */
export interface TreeLine {
  readonly label: string;
  readonly node: TreeNode;
}

export function treeLines(root: TreeNode): readonly TreeLine[] {
  const lines: TreeLine[] = [];
  const draw = (at: TreeNode, first: string, rest: string) => {
    const elsewhere = at.namespace !== root.namespace && at.namespace !== undefined ? ` (namespace ${at.namespace})` : '';
    lines.push({ label: `${first}${at.kind}/${at.name}${elsewhere}`, node: at });
    for (const [index, child] of at.children.entries()) {
      const last = index === at.children.length - 1;
      draw(child, `${rest}${last ? '└─ ' : '├─ '}`, `${rest}${last ? '   ' : '│  '}`);
    }
  };
  draw(root, '', '');
  return lines;
}
