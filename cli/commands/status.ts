import type { MCPServer } from '../../api/mcpserver.ts';
import { adviceFor } from '../advice.ts';
import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { events } from '../kinds.ts';
import { ApiError, type KubeApi, type KubeObject } from '../kubeapi.ts';
import { age, print } from '../output.ts';
import { findServer, listServers, ready, resourceName, upToDate, type Condition } from '../server.ts';
import { table } from '../table.ts';
import { oneLine, type Terminal } from '../terminal.ts';

/** One server in full, or a line for each. */
export async function status(context: Context, name: string | undefined): Promise<void> {
  const { api, terminal, namespace, allNamespaces } = context;
  if (name !== undefined && allNamespaces) throw new CommandError(ExitCode.Usage, 'name a server or ask for all namespaces, not both');
  if (name === undefined) {
    const servers = await listServers(api, allNamespaces ? undefined : namespace);
    print(terminal, context.output, {
      data: servers.map(summary),
      names: servers.map(resourceName),
      text: () => overview(context, servers),
    });
    return;
  }
  const server = await findServer(api, namespace, name);
  const warnings = await warningsOf(api, server);
  print(terminal, context.output, {
    data: { ...summary(server), conditions: server.status?.conditions ?? [], warnings },
    names: [resourceName(server)],
    text: () => detail(context, server, warnings),
  });
}

/** What programs get. */
function summary(server: MCPServer) {
  const { metadata, status } = server;
  const condition = ready(server);
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    ready: condition?.status ?? 'Unknown',
    reason: condition?.reason ?? 'Pending',
    message: condition?.message ?? 'The operator has not seen this server yet',
    advice: condition === undefined ? undefined : adviceFor(metadata.name, condition),
    url: status?.address?.url,
    externalURLs: status?.address?.externalURLs,
    server: status?.server,
    tools: status?.tools,
    replicas: status?.replicas ?? 0,
    readyReplicas: status?.readyReplicas ?? 0,
    upToDate: upToDate(server),
  };
}

function overview({ terminal, allNamespaces, namespace, now }: Context, servers: readonly MCPServer[]): string {
  if (servers.length === 0)
    return allNamespaces ? 'There are no MCPServers in this cluster.\n' : `There are no MCPServers in namespace ${namespace}.\n`;
  const rows = servers.map((server) => {
    const { ready, reason, tools, readyReplicas, replicas, url } = summary(server);
    return [
      ...(allNamespaces ? [server.metadata.namespace ?? ''] : []),
      server.metadata.name,
      coloured(terminal, ready),
      reason,
      String(tools?.total ?? ''),
      `${readyReplicas}/${replicas}`,
      url ?? '',
      age(server.metadata.creationTimestamp, now()),
    ];
  });
  return table([...(allNamespaces ? ['namespace'] : []), 'name', 'ready', 'reason', 'tools', 'pods', 'url', 'age'], rows);
}

function detail({ terminal, now }: Context, server: MCPServer, warnings: readonly Warning[]): string {
  const { ready, reason, url, externalURLs, server: facts, tools, readyReplicas, replicas } = summary(server);
  const conditions = server.status?.conditions ?? [];
  const parts = [
    `${terminal.style('bold', server.metadata.name)} in namespace ${server.metadata.namespace}: ${coloured(terminal, ready, ready === 'True' ? 'Ready' : 'not Ready')} (${reason})\n`,
    facts === undefined
      ? ''
      : `Server   ${oneLine([facts.name, facts.version].filter(Boolean).join(' '))}, MCP ${(facts.protocolVersions ?? []).join(', ')} (${facts.era ?? 'unknown era'})\n`,
    tools?.total === undefined
      ? ''
      : `Tools    ${tools.total}: ${tools.readOnly ?? 0} read-only, ${tools.destructive ?? 0} destructive (${tools.unannotated ?? 0} say nothing)\n`,
    `Pods     ${readyReplicas} of ${replicas} ready\n`,
    url === undefined ? '' : `URL      ${url}\n`,
    ...(externalURLs ?? []).map((external) => `         ${external}\n`),
    upToDate(server) ? '' : 'This status speaks of an older spec: the operator has not handled the newest change yet.\n',
    conditions.length === 0 ? '' : `\n${conditionTable(terminal, conditions, now())}`,
    warnings.length === 0
      ? ''
      : `\nWarnings\n${warnings.map((warning) => `  ${age(warning.time, now())} ago  ${oneLine(`${warning.reason}: ${warning.message}`)}\n`).join('')}`,
    todo(server.metadata.name, conditions),
  ];
  return parts.join('');
}

function conditionTable(terminal: Terminal, conditions: readonly Condition[], now: Date): string {
  const rows = conditions.map(({ type, status, reason, lastTransitionTime, message }) => [
    type,
    coloured(terminal, status),
    reason,
    age(lastTransitionTime, now),
    message.replaceAll(/\s+/g, ' '),
  ]);
  return table(['condition', 'status', 'reason', 'since', 'message'], rows);
}

/** Ready repeats the reason of another condition: its advice is given once. To wait is none where something is to be done. */
function todo(name: string, conditions: readonly Condition[]): string {
  const lines = new Map<string, string>();
  for (const condition of conditions) {
    const advice = adviceFor(name, condition);
    if (advice !== undefined) lines.set(condition.reason, advice);
  }
  if (lines.size > 1) lines.delete('Pending');
  return lines.size === 0 ? '' : `\nWhat to do\n${[...lines].map(([reason, advice]) => `  ${reason}: ${advice}\n`).join('')}`;
}

function coloured(terminal: Terminal, status: string, text = status): string {
  return terminal.style(status === 'True' ? 'green' : status === 'False' ? 'red' : 'yellow', text);
}

interface Warning {
  readonly reason: string;
  readonly message: string;
  readonly time: string | undefined;
}

interface CoreEvent extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
}

const mostWarnings = 5;

/** The newest Warning events about the server; none where we may not read events. */
async function warningsOf(api: KubeApi, server: MCPServer): Promise<readonly Warning[]> {
  const { uid, namespace } = server.metadata;
  try {
    const list = await api.list<CoreEvent>(events, namespace, { fieldSelector: `type=Warning,involvedObject.uid=${uid}` });
    const warnings = list.map(({ reason = '', message = '', series, lastTimestamp, eventTime, metadata }) => ({
      reason,
      message,
      time: series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp,
    }));
    return warnings.toSorted((a, b) => (b.time ?? '').localeCompare(a.time ?? '')).slice(0, mostWarnings);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return [];
    throw error;
  }
}
