import { Label } from '../../api/group.ts';
import type { MCPServer } from '../../api/mcpserver.ts';
import { adviceFor } from '../advice.ts';
import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { childKinds, type ChildKind } from '../kinds.ts';
import { ApiError, type KubeApi, type KubeObject } from '../kubeapi.ts';
import { age, print } from '../output.ts';
import { findServer, listServers, ready } from '../server.ts';
import { table } from '../table.ts';
import { oneLine, type Terminal } from '../terminal.ts';
import { serverTree, treeLines, type Found, type TreeNode } from '../tree.ts';

/** The server, or all of a namespace or the cluster, with everything that belongs to them. */
export async function tree(context: Context, name: string | undefined): Promise<void> {
  const { api, terminal, namespace, allNamespaces } = context;
  if (name !== undefined && allNamespaces) throw new CommandError(ExitCode.Usage, 'name a server or ask for all namespaces, not both');
  const spinner = terminal.spinner('Looking at the cluster');
  let servers: readonly MCPServer[];
  let gathered: Gathered;
  try {
    servers = name === undefined ? await listServers(api, allNamespaces ? undefined : namespace) : [await findServer(api, namespace, name)];
    gathered = await gather(api, servers, allNamespaces ? undefined : namespace, name);
  } finally {
    spinner.stop();
  }
  const trees = servers.map((server) => serverTree(server, gathered.found));
  print(terminal, context.output, {
    data: name === undefined ? trees : trees[0],
    names: trees.flatMap((root) => treeLines(root).map(({ node }) => `${node.kind.toLowerCase()}/${node.name}`)),
    text: () => text(context, servers, trees),
  });
  if (gathered.hidden.length > 0) terminal.err(`Not shown, because you may not list them: ${gathered.hidden.join(', ')}\n`);
}

interface Gathered {
  readonly found: readonly Found[];
  /** Kinds that we may not list. */
  readonly hidden: readonly string[];
}

async function gather(
  api: KubeApi,
  servers: readonly MCPServer[],
  namespace: string | undefined,
  name: string | undefined,
): Promise<Gathered> {
  const labelSelector = name === undefined ? Label.Server : `${Label.Server}=${name}`;
  const abroad = servers.some(({ spec }) => spec.kubernetesAccess !== undefined);
  const hidden: string[] = [];
  const list = async (kind: ChildKind, within: string | undefined): Promise<readonly Found[]> => {
    try {
      const objects = await api.list<KubeObject>(kind, within, { labelSelector, metadataOnly: kind.metadataOnly === true });
      return objects.map((object) => ({ kind: kind.kind, object }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404 && kind.optional === true) return [];
      if (error.status !== 403) throw error;
      hidden.push(kind.plural);
      return [];
    }
  };
  const lists = childKinds.map(async (kind) => {
    const clusterScoped = kind.kind.startsWith('Cluster');
    if (clusterScoped && !abroad) return [];
    return list(kind, clusterScoped || (kind.elsewhere === true && abroad) ? undefined : namespace);
  });
  return { found: (await Promise.all(lists)).flat(), hidden: hidden.toSorted() };
}

function text({ terminal, now, allNamespaces, namespace }: Context, servers: readonly MCPServer[], trees: readonly TreeNode[]): string {
  if (trees.length === 0)
    return allNamespaces ? 'There are no MCPServers in this cluster.\n' : `There are no MCPServers in namespace ${namespace}.\n`;
  const rows = trees.flatMap((root) =>
    treeLines(root).map(({ label, node }) => [
      ...(allNamespaces ? [root.namespace ?? ''] : []),
      label,
      mark(terminal, node.ready),
      oneLine(node.state),
      age(node.created, now()),
    ]),
  );
  const head = [...(allNamespaces ? ['namespace'] : []), 'object', 'ready', 'state', 'age'];
  return [table(head, rows), ...servers.flatMap((server) => why(server, allNamespaces))].join('\n');
}

function mark(terminal: Terminal, value: boolean | undefined): string {
  if (value === undefined) return '';
  return value ? terminal.style('green', 'True') : terminal.style('red', 'False');
}

/** Why a server is not Ready, and what to do. */
function why(server: MCPServer, allNamespaces: boolean): readonly string[] {
  const condition = ready(server);
  if (condition === undefined || condition.status === 'True') return [];
  const advice = adviceFor(server.metadata.name, condition);
  const lines = [
    `${allNamespaces ? `${server.metadata.namespace}/` : ''}${server.metadata.name} is not Ready (${condition.reason}): ${oneLine(condition.message)}`,
    ...(advice === undefined ? [] : [`→ ${advice}`]),
  ];
  return [`${lines.join('\n')}\n`];
}
