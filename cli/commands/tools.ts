import type { MCPServer } from '../../api/mcpserver.ts';
import { ConditionType } from '../../api/conditions.ts';
import { printable } from '../../mcp/excerpt.ts';
import { toolClass } from '../../mcp/inventory.ts';
import { parseToolList, toolListKey, toolListName, type ListedTool } from '../../mcp/tool-list.ts';
import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { configMaps } from '../kinds.ts';
import type { KubeApi, KubeObject } from '../kubeapi.ts';
import { print } from '../output.ts';
import { condition, findServer } from '../server.ts';
import { table } from '../table.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** The tools of a server as the operator last saw them. */
export async function tools(context: Context, name: string): Promise<void> {
  const { api, terminal, namespace } = context;
  const server = await findServer(api, namespace, name);
  const list = await toolsOf(api, server);
  const { digest } = server.status?.tools ?? {};
  print(terminal, context.output, {
    data: { server: name, namespace, digest, tools: list.map((tool) => ({ ...tool, class: toolClass(tool.hints) })) },
    names: list.map((tool) => printable(tool.name)),
    text: () => (list.length === 0 ? `${name} has no tools.\n` : table(['name', 'class', 'hints', 'title', 'digest'], list.map(row))),
  });
}

function row({ name, title, hints, digest }: ListedTool): readonly string[] {
  return [
    printable(name, 80),
    toolClass(hints),
    hintWords({ hints }),
    printable(title ?? '', 50),
    digest.slice('sha256:'.length, 'sha256:'.length + 12),
  ];
}

/** What the server declared, in words; what it left open is not said. */
function hintWords({ hints }: Pick<ListedTool, 'hints'>): string {
  const words = [
    hints.readOnly === undefined ? undefined : hints.readOnly ? 'read-only' : 'writes',
    hints.destructive === undefined ? undefined : hints.destructive ? 'destructive' : 'not destructive',
    hints.idempotent === true ? 'idempotent' : undefined,
    hints.openWorld === undefined ? undefined : hints.openWorld ? 'open world' : 'closed world',
  ];
  const said = words.filter((word) => word !== undefined).join(', ');
  return said === '' ? 'none' : said;
}

async function toolsOf(api: KubeApi, server: MCPServer): Promise<readonly ListedTool[]> {
  const { name, namespace = '' } = server.metadata;
  const list: ListedTool[] = [];
  for (let part = 0; ; part++) {
    const map = await api.find<ConfigMap>(configMaps, namespace, toolListName(name, part));
    const text = map?.data?.[toolListKey];
    if (text !== undefined) list.push(...parseToolList(text));
    else if (part === 0) throw unknown(server);
    else return list;
  }
}

function unknown(server: MCPServer): CommandError {
  const verified = condition(server, ConditionType.Verified);
  const why = verified === undefined ? 'the operator has not verified it yet' : `${verified.reason}: ${verified.message}`;
  return new CommandError(ExitCode.NotReady, `the tools of ${server.metadata.name} are not known (${why})`);
}
