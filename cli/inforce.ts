import type { ListedTool } from '../mcp/tool-list.ts';
import type { Bundle } from '../mcp/policy/bundle.ts';
import { BUNDLE_FILES } from '../mcp/policy/bundle.ts';
import { BundleError, bundleDigest, parseBundle } from '../mcp/policy/bundlecheck.ts';
import { ConditionType } from '../api/conditions.ts';
import { guardNames } from '../api/group.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import { CommandError, ExitCode } from './exit.ts';
import { configMaps } from './kinds.ts';
import type { KubeApi } from './kubeapi.ts';
import { condition, upToDate } from './server.ts';
import { type ConfigMap, findTools } from './toolinventory.ts';

/** What the guards of a server enforce, and what it is decided on. */
export interface InForce {
  readonly bundle: Bundle;
  readonly digest: string;
  /** Absent: not known. */
  readonly tools: readonly ListedTool[] | undefined;
  /** Absent: the bundle is made of files, and no guard has it. */
  readonly guards?: { readonly total: number; readonly current: number };
  /** What keeps the answer from being the whole truth. */
  readonly notes: readonly string[];
}

/** The very bundle that the guards read. Rejects with `CommandError` `NotReady` where there is none. */
export async function inForce(api: KubeApi, server: MCPServer): Promise<InForce> {
  const { name, namespace = '' } = server.metadata;
  if (!server.spec.guard.enabled) {
    throw new CommandError(
      ExitCode.NotReady,
      `the guard of ${name} is off (spec.guard.enabled: false): no policy is enforced, every call reaches the server`,
    );
  }
  const map = await api.find<ConfigMap>(configMaps, namespace, guardNames(name).policy);
  const text = map?.data?.[BUNDLE_FILES.bundle];
  if (text === undefined) {
    throw new CommandError(ExitCode.NotReady, `ConfigMap ${guardNames(name).policy} is not there yet: mcp-fleet status ${name} tells why`);
  }
  const tools = await findTools(api, server);
  const digest = bundleDigest(text);
  const { guards } = server.status ?? {};
  return {
    bundle: bundleOf(text),
    digest,
    tools,
    ...(guards === undefined ? {} : { guards }),
    notes: [
      ...behind(server, digest),
      ...(tools === undefined ? ['the tools of the server are not known yet: any tool is taken as one without hints'] : []),
    ],
  };
}

function bundleOf(text: string): Bundle {
  try {
    return parseBundle(text);
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    throw new CommandError(ExitCode.Failed, `the bundle is not one that this version reads: ${error.message}`, { cause: error });
  }
}

function behind(server: MCPServer, digest: string): readonly string[] {
  const { guards, policyDigest } = server.status ?? {};
  const applied = condition(server, ConditionType.PolicyApplied);
  const late =
    guards !== undefined && guards.current < guards.total
      ? [`${guards.total - guards.current} of ${guards.total} guards are behind: they still decide by an older bundle`]
      : [];
  return [
    ...(upToDate(server) && (policyDigest === undefined || policyDigest === digest)
      ? late
      : ['the operator is at it: guards may still decide by an older bundle']),
    ...(applied !== undefined && applied.status !== 'True'
      ? [`PolicyApplied is ${applied.status} (${applied.reason}): ${applied.message}`]
      : []),
  ];
}
