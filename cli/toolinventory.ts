import { ConditionType } from '../api/conditions.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import { parseToolList, toolListKey, toolListName, type ListedTool } from '../mcp/tool-list.ts';
import { CommandError, ExitCode } from './exit.ts';
import { configMaps } from './kinds.ts';
import type { KubeApi, KubeObject } from './kubeapi.ts';
import { condition } from './server.ts';

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** The tools as the operator last saw them; `undefined` while they are not known. */
export async function findTools(api: KubeApi, { metadata }: MCPServer): Promise<readonly ListedTool[] | undefined> {
  const { name, namespace = '' } = metadata;
  const list: ListedTool[] = [];
  for (let part = 0; ; part++) {
    const map = await api.find<ConfigMap>(configMaps, namespace, toolListName(name, part));
    const text = map?.data?.[toolListKey];
    if (text === undefined) return part === 0 ? undefined : list;
    list.push(...parseToolList(text));
  }
}

/** Rejects with `CommandError` `NotReady` while they are not known. */
export async function toolsOf(api: KubeApi, server: MCPServer): Promise<readonly ListedTool[]> {
  const tools = await findTools(api, server);
  if (tools !== undefined) return tools;
  const verified = condition(server, ConditionType.Verified);
  const why = verified === undefined ? 'the operator has not verified it yet' : `${verified.reason}: ${verified.message}`;
  throw new CommandError(ExitCode.NotReady, `the tools of ${server.metadata.name} are not known (${why})`);
}
