import { printable } from '../../../mcp/excerpt.ts';
import { toolCounts } from '../../../mcp/inventory.ts';
import { type ListedInventory, type ListedTool, parseToolList, toolListKey, toolListName, toolListParts } from '../../../mcp/tool-list.ts';
import type { MCPServer, MCPServerStatus } from '../../../api/mcpserver.ts';
import type { ConfigMap } from '../../kube/wire.ts';
import { childMeta } from './names.ts';

/** The ConfigMaps that hold the inventory of a server: one, or several where it does not fit. */
export const toolLists = (server: MCPServer, inventory: ListedInventory): ConfigMap[] =>
  toolListParts(inventory.tools).map((part, index) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMeta(server, toolListName(server.metadata.name, index)),
    data: { [toolListKey]: part },
  }));

/** Whether a ConfigMap of a server is a part of its inventory. */
export const isToolList = (server: string, name: string): boolean =>
  name === `${server}-tools` || new RegExp(`^${server}-tools-\\d+$`).test(name);

/** What the ConfigMaps hold; `undefined` where one is damaged, or none is there. */
export function listedTools(server: MCPServer, find: (name: string) => ConfigMap | undefined): readonly ListedTool[] | undefined {
  const tools: ListedTool[] = [];
  for (let part = 0; ; part++) {
    const text = find(toolListName(server.metadata.name, part))?.data?.[toolListKey];
    if (text === undefined) return part === 0 ? undefined : tools;
    try {
      tools.push(...parseToolList(text));
    } catch {
      return undefined;
    }
  }
}

/** `status.tools`. Names are quoted as they may be printed; the ConfigMap has them as they are. */
export const toolsStatus = (server: MCPServer, { tools, digest }: ListedInventory): NonNullable<MCPServerStatus['tools']> => ({
  ...toolCounts(tools),
  digest,
  names: tools.slice(0, 50).map(({ name }) => printable(name, 256)),
  inventory: toolListName(server.metadata.name, 0),
});

export interface ToolChange {
  readonly change: 'ToolAdded' | 'ToolRemoved' | 'ToolChanged';
  /** What an event says. */
  readonly note: string;
}

/** Most changes that are told one by one; a server that exchanges hundreds of tools would flood the events. */
const TOLD = 20;

/** What differs between two inventories, by name. */
export function toolChanges(
  before: readonly Pick<ListedTool, 'name' | 'digest'>[],
  after: readonly Pick<ListedTool, 'name' | 'digest'>[],
): ToolChange[] {
  const old = new Map(before.map(({ name, digest }) => [name, digest]));
  const now = new Map(after.map(({ name, digest }) => [name, digest]));
  const changes: ToolChange[] = [];
  for (const [name, digest] of old) {
    const next = now.get(name);
    if (next === undefined) changes.push({ change: 'ToolRemoved', note: `Tool ${printable(name, 128)} is gone (it was ${digest})` });
    else if (next !== digest)
      changes.push({ change: 'ToolChanged', note: `Tool ${printable(name, 128)} changed from ${digest} to ${next}` });
  }
  for (const [name, digest] of now) {
    if (!old.has(name)) changes.push({ change: 'ToolAdded', note: `Tool ${printable(name, 128)} is new (${digest})` });
  }
  return changes.length <= TOLD ? changes : [...changes.slice(0, TOLD), ...summary(changes.slice(TOLD))];
}

const summary = (rest: readonly ToolChange[]): ToolChange[] =>
  (['ToolRemoved', 'ToolChanged', 'ToolAdded'] as const)
    .map((change) => ({ change, count: rest.filter((entry) => entry.change === change).length }))
    .filter(({ count }) => count > 0)
    .map(({ change, count }) => ({
      change,
      note: `${count} more tools ${{ ToolRemoved: 'are gone', ToolChanged: 'changed', ToolAdded: 'are new' }[change]}`,
    }));
