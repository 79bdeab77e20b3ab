import { stringify } from 'yaml';
import { guardNames } from '../../api/group.ts';
import type { MCPServer } from '../../api/mcpserver.ts';
import { printable } from '../../mcp/excerpt.ts';
import type { PinState } from '../../mcp/policy/decision.ts';
import { pinsText } from '../../mcp/policy/pinfile.ts';
import { toolClass } from '../../mcp/inventory.ts';
import type { ListedTool } from '../../mcp/tool-list.ts';
import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { configMaps } from '../kinds.ts';
import { ApiError, type KubeObject } from '../kubeapi.ts';
import { print } from '../output.ts';
import { digestsOf, findPins, pinStates, type TrustedPins, withApproval } from '../pins.ts';
import { findServer } from '../server.ts';
import { table } from '../table.ts';
import { toolsOf } from '../toolinventory.ts';
import { hintWords, shortDigest } from '../toolwords.ts';

export interface ApproveOptions {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** Data key that is written. */
  readonly key: string;
  readonly forceConflicts?: boolean;
}

/** Each writer of pins has its own, so that what the operator or Git wrote stays theirs. */
const FIELD_MANAGER = 'mcp-fleet-cli-pins';

/** How often somebody else may write in between. */
const ATTEMPTS = 3;

interface Approval {
  readonly tool: ListedTool;
  readonly state: PinState;
  readonly before: readonly string[];
}

/** Trusts tools as the operator last saw them. Without names and `--all` it only shows what is to be approved. */
export async function approve(context: Context, name: string, names: readonly string[], options: ApproveOptions): Promise<void> {
  const { api, namespace } = context;
  const server = await findServer(api, namespace, name);
  const tools = await toolsOf(api, server);
  for (let attempt = 1; ; attempt++) {
    const trusted = await findPins(api, namespace, name, options.key);
    const approvals = chosen(name, tools, names, trusted);
    const asked = names.length > 0 || options.all === true;
    const object = configMap(server, trusted, approvals, options.key);
    try {
      if (asked && approvals.length > 0 && options.dryRun !== true) {
        const { resourceVersion } = trusted;
        const locked = { ...object, metadata: { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) } };
        await api.apply(configMaps, locked, FIELD_MANAGER, options.forceConflicts === true);
      }
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      if (error.message.includes('the object has been modified') && attempt < ATTEMPTS) continue;
      throw conflict(error, name, options.key);
    }
    report(context, name, object, approvals, { asked, dryRun: options.dryRun === true });
    return;
  }
}

/** Tools that are not trusted as they are: those that are named, or all. Throws `CommandError` for what cannot be approved. */
function chosen(server: string, tools: readonly ListedTool[], names: readonly string[], { pins }: TrustedPins): readonly Approval[] {
  const unknown = names.filter((name) => !tools.some((tool) => tool.name === name));
  if (unknown.length > 0)
    throw new CommandError(ExitCode.NotFound, `${server} lists no tool ${unknown.map((name) => printable(name)).join(', ')}`);
  const states = pinStates(tools, pins);
  return tools.flatMap((tool, at) => {
    const state = states[at] ?? 'missing';
    if (state === 'match' || (names.length > 0 && !names.includes(tool.name))) return [];
    if (tool.ambiguous === true) {
      if (!names.includes(tool.name)) return [];
      throw new CommandError(
        ExitCode.Failed,
        `${server} lists ${printable(tool.name)} more than once: nobody can say which definition would run, so none is trusted`,
      );
    }
    return [{ tool, state, before: pins === undefined ? [] : digestsOf(pins, tool.name) }];
  });
}

interface PinsConfigMap extends KubeObject {
  readonly data: Readonly<Record<string, string>>;
}

/** The whole of our key: what it trusted before, and what is approved now. */
function configMap({ metadata }: MCPServer, trusted: TrustedPins, approvals: readonly Approval[], key: string): PinsConfigMap {
  const pins = new Map(Object.entries(trusted.own.tools));
  for (const { tool } of approvals) {
    const digests = withApproval(trusted, tool);
    if (digests === undefined) {
      throw new CommandError(
        ExitCode.Failed,
        `other keys of ConfigMap ${guardNames(metadata.name).pins} trust 4 definitions of ${printable(tool.name)} already, the most there can be: remove one there`,
      );
    }
    pins.set(tool.name, digests);
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: guardNames(metadata.name).pins, namespace: metadata.namespace ?? '' },
    data: { [key]: pinsText([...pins]) },
  };
}

function conflict(error: ApiError, server: string, key: string): CommandError {
  if (error.message.includes('the object has been modified')) {
    return new CommandError(ExitCode.Failed, `somebody else writes ConfigMap ${guardNames(server).pins} all the time: try again`, {
      cause: error,
    });
  }
  const message = `data key ${key} belongs to somebody else (${error.message}). Approve there (-o yaml prints what to write), choose a key of your own with --key, or take it over with --force-conflicts`;
  return new CommandError(ExitCode.Refused, message, { cause: error });
}

function report(
  { terminal, output }: Context,
  server: string,
  object: PinsConfigMap,
  approvals: readonly Approval[],
  { asked, dryRun }: { readonly asked: boolean; readonly dryRun: boolean },
): void {
  print(terminal, output, {
    data: object,
    names: approvals.map(({ tool }) => printable(tool.name)),
    text: () => {
      if (approvals.length === 0) return `Nothing to approve: what ${server} lists is trusted as it is.\n`;
      const rows = approvals.map(({ tool, state, before }) => [
        printable(tool.name, 80),
        state,
        before.length === 0 ? 'none' : before.map(shortDigest).join(', '),
        shortDigest(tool.digest),
        toolClass(tool.hints),
        hintWords(tool),
        printable(tool.title ?? '', 50),
      ]);
      const list = table(['tool', 'was', 'trusted', 'now', 'class', 'hints now', 'title'], rows);
      if (!asked) return `${list}\nNothing is approved yet: name tools, or say --all.\n`;
      if (dryRun) return `${list}\nWould be written to ConfigMap ${object.metadata.name}:\n${stringify(object)}`;
      return `${list}\nApproved in ConfigMap ${object.metadata.name}. The guards have it within seconds: mcp-fleet explain ${server} shows it.\n`;
    },
  });
}
