import { ConditionType } from '../../api/conditions.ts';
import type { MCPServer } from '../../api/mcpserver.ts';
import { call as callTool, type Answered, type CallResult, type ToolArguments } from '../../mcp/call.ts';
import { isObject, type Message } from '../../mcp/jsonrpc.ts';
import { printable } from '../../mcp/excerpt.ts';
import { contentText } from '../content.ts';
import type { Context, Environment } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { print } from '../output.ts';
import { route } from '../route.ts';
import { condition, findServer } from '../server.ts';
import { assignment, jsonArguments, textOrFile, toolArguments } from '../toolarguments.ts';

export interface CallOptions {
  readonly assignments: readonly string[];
  /** JSON, `@file`, or `-` for standard input. */
  readonly json?: string;
  /** `Name: value`. */
  readonly headers: readonly string[];
  /** Seconds. */
  readonly timeout: number;
}

/** Calls one tool of a server through the API server and prints what it answers. */
export async function call(context: Context, { stdin }: Environment, name: string, tool: string, options: CallOptions): Promise<void> {
  const { api, terminal, namespace, output } = context;
  const args = await argumentsOf(options, stdin);
  const headers = headersOf(options.headers);
  const server = await findServer(api, namespace, name);
  mustBeAvailable(server);
  const spinner = terminal.spinner(`Calling ${printable(tool, 60)} of ${name}`);
  let result: CallResult;
  try {
    const era = server.status?.server?.era;
    result = await callTool(await route(context, server, headers), tool, args, {
      signal: context.signal,
      limits: { timeoutMs: options.timeout * 1_000 },
      client: { name: 'mcp-fleet', version: process.env['MCP_FLEET_VERSION'] ?? 'development' },
      onMessage: (message) => {
        const words = progressWords(message);
        if (words !== undefined) spinner.update(words);
      },
      ...(era === undefined ? {} : { era }),
    });
  } finally {
    spinner.stop();
  }
  if (result.outcome !== 'Answered') throw failure(name, tool, result);
  const answered = result;
  if (answered.isError && output === undefined) throw new CommandError(ExitCode.ToolFailed, contentText(answered.result).trimEnd());
  print(terminal, output, { data: answered.result, names: [printable(tool)], text: () => contentText(answered.result), verbatim: true });
  if (answered.isError) throw new CommandError(ExitCode.ToolFailed, `${printable(tool)} says that it failed`);
}

async function argumentsOf({ assignments, json }: CallOptions, stdin: AsyncIterable<Uint8Array>): Promise<ToolArguments> {
  if (json !== undefined && assignments.length > 0)
    throw new CommandError(ExitCode.Usage, 'give arguments as key=value or with --json, not both');
  if (json !== undefined) return jsonArguments('--json', await jsonText(json, stdin));
  if (assignments.length === 0) return {};
  const parsed = assignments.map(assignment);
  return (definition) => toolArguments(parsed, definition?.['inputSchema']);
}

async function jsonText(json: string, stdin: AsyncIterable<Uint8Array>): Promise<string> {
  if (json === '-') {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stdin) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }
  return textOrFile('--json', json);
}

function headersOf(headers: readonly string[]): Readonly<Record<string, string>> {
  const entries = headers.map((text): [string, string] => {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):\s*(.*)$/.exec(text);
    if (match === null) throw new CommandError(ExitCode.Usage, `"${text}" is no header: write Name: value`);
    const [, name = '', value = ''] = match;
    if (name.toLowerCase() === 'authorization') {
      throw new CommandError(
        ExitCode.Usage,
        'Authorization does not get through the API server, which takes it for itself; use kubectl port-forward and any MCP client',
      );
    }
    return [name, value];
  });
  return Object.fromEntries(entries);
}

/** With no pod to answer the reason is known already, and better than what the API server would say. */
function mustBeAvailable(server: MCPServer): void {
  const available = condition(server, ConditionType.Available);
  const nobody = (server.status?.readyReplicas ?? 0) === 0 && server.spec.service === undefined && server.spec.tunnel === undefined;
  if (available === undefined || !nobody) return;
  throw new CommandError(ExitCode.NotReady, `${server.metadata.name} has no ready pod (${available.reason}): ${available.message}`);
}

function progressWords(message: Message): string | undefined {
  if (message.kind !== 'Notification' || message.method !== 'notifications/progress' || !isObject(message.params)) return undefined;
  const { progress, total, message: words } = message.params;
  const share =
    typeof progress === 'number' && typeof total === 'number' && total > 0 ? `${Math.round((progress / total) * 100)} %` : undefined;
  return [typeof words === 'string' ? printable(words, 80) : 'Working', share].filter((part) => part !== undefined).join(' ');
}

/** The exit code and words for a call that did not run. */
export function failure(name: string, tool: string, result: Exclude<CallResult, Answered>): CommandError {
  switch (result.outcome) {
    case 'Refused':
      return new CommandError(ExitCode.Refused, `${name} refused ${printable(tool)}: ${result.message} (error ${result.code})`);
    case 'InputRequired':
      return new CommandError(ExitCode.Refused, result.message);
    case 'AuthenticationRequired':
      return new CommandError(ExitCode.Refused, `${result.message}; give credentials with --header`);
    default:
      return new CommandError(ExitCode.Unreachable, `${name} cannot be called (${result.outcome}): ${result.message}`);
  }
}
