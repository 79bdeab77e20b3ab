import { GUARD_CONTAINER, SERVER_CONTAINER } from '../api/group.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import { ConditionType } from '../api/conditions.ts';
import { CommandError, ExitCode } from './exit.ts';
import { mcpServers } from './kinds.ts';
import { ApiError, type KubeApi } from './kubeapi.ts';

export type Condition = NonNullable<NonNullable<MCPServer['status']>['conditions']>[number];

/** Rejects with `CommandError` `NotFound`, also where the kind is not installed. */
export async function findServer(api: KubeApi, namespace: string, name: string): Promise<MCPServer> {
  try {
    return await api.get<MCPServer>(mcpServers, namespace, name);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new CommandError(ExitCode.NotFound, notFound(error, namespace, name), { cause: error });
  }
}

/** The servers of a namespace, or of all. */
export async function listServers(api: KubeApi, namespace: string | undefined): Promise<readonly MCPServer[]> {
  try {
    return await api.list<MCPServer>(mcpServers, namespace);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    throw new CommandError(ExitCode.NotFound, notInstalled, { cause: error });
  }
}

const notInstalled = 'this cluster has no MCPServers: mcp-fleet-operator is not installed';

function notFound(error: ApiError, namespace: string, name: string): string {
  return error.message.includes(`"${name}"`) ? `there is no MCPServer ${name} in namespace ${namespace}` : notInstalled;
}

export function condition(server: MCPServer, type: string): Condition | undefined {
  return server.status?.conditions?.find((candidate) => candidate.type === type);
}

export function ready(server: MCPServer): Condition | undefined {
  return condition(server, ConditionType.Ready);
}

export function resourceName({ metadata }: MCPServer): string {
  return `mcpserver.mcp-fleet.dev/${metadata.name}`;
}

/** The container whose log tells most of a server: its own, or its guard's where it runs elsewhere. */
export function mainContainer({ spec }: { readonly spec: Pick<MCPServer['spec'], 'remote' | 'service'> }): string {
  return spec.remote === undefined && spec.service === undefined ? SERVER_CONTAINER : GUARD_CONTAINER;
}

/** Oldest statuses first look: whether the status speaks of the spec as it is now. */
export function upToDate(server: MCPServer): boolean {
  return server.status?.observedGeneration === server.metadata.generation;
}
