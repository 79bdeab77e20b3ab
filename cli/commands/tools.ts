import { printable } from '../../mcp/excerpt.ts';
import { toolClass } from '../../mcp/inventory.ts';
import type { ListedTool } from '../../mcp/tool-list.ts';
import type { Context } from '../context.ts';
import { print } from '../output.ts';
import { findServer } from '../server.ts';
import { table } from '../table.ts';
import { toolsOf } from '../toolinventory.ts';

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
