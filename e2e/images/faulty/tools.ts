import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as after } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/server';
import type { CallToolResult, Tool } from '@modelcontextprotocol/server';
import type { Behaviour, ToolDefinition } from './behaviour.ts';

/** What the built-in tools may do to the server they belong to. */
export interface Controls {
  readonly behaviour: Behaviour;
  /** Replaces the further tools and tells connected clients. */
  changeTools(tools: readonly ToolDefinition[]): void;
  crash(message: string): void;
}

type Arguments = Readonly<Record<string, unknown>>;

interface BuiltIn {
  readonly tool: Tool;
  readonly run: (args: Arguments, controls: Controls) => Promise<string> | string;
}

const BUILT_IN: readonly BuiltIn[] = [
  {
    tool: tool('echo', 'Answers its message', { message: { type: 'string' } }, { readOnlyHint: true }),
    run: (args) => text(args, 'message'),
  },
  {
    tool: tool('where', 'Answers the name of the pod', {}, { readOnlyHint: true }),
    run: () => hostname(),
  },
  {
    tool: tool('wait', 'Answers after a while', { milliseconds: { type: 'integer' } }, { readOnlyHint: true }),
    run: async (args) => {
      await after(whole(args, 'milliseconds'));
      return `waited ${whole(args, 'milliseconds')} ms in ${hostname()}`;
    },
  },
  {
    tool: tool('burn_cpu', 'Keeps one core busy', { milliseconds: { type: 'integer' } }, { readOnlyHint: true }),
    run: (args) => burn(whole(args, 'milliseconds')),
  },
  {
    tool: tool('read_file', 'Answers the text of a file in the container', { path: { type: 'string' } }, { readOnlyHint: true }),
    run: (args) => readFile(text(args, 'path'), 'utf8'),
  },
  {
    tool: tool('read_variable', 'Answers an environment variable', { name: { type: 'string' } }, { readOnlyHint: true }),
    run: (args) => process.env[text(args, 'name')] ?? '',
  },
  {
    tool: tool('set_tools', 'Replaces the further tools', { names: { type: 'array', items: { type: 'string' } } }, {}),
    run: ({ names }, controls) => {
      const wanted = Array.isArray(names) ? names.map((name) => ({ name: String(name) })) : [];
      controls.changeTools(wanted);
      return `${wanted.length} tools`;
    },
  },
  {
    tool: tool('crash', 'Ends the server with a message on standard error', { message: { type: 'string' } }, { destructiveHint: true }),
    run: (args, controls) => {
      controls.crash(text(args, 'message'));
      return 'crashing';
    },
  },
];

/** A server instance of the official SDK whose tools follow `controls.behaviour`, page by page. */
export function mcpServer(controls: Controls): Server {
  const server = new Server({ name: 'faulty', version: '1.0.0' }, { capabilities: { tools: { listChanged: true } } });
  server.setRequestHandler('tools/list', (request) =>
    page(listed(controls.behaviour), request.params?.cursor, controls.behaviour.pageSize),
  );
  server.setRequestHandler('tools/call', (request) => call(request.params.name, request.params.arguments ?? {}, controls));
  return server;
}

function listed(behaviour: Behaviour): Tool[] {
  const further = behaviour.tools.map((each) => ({ inputSchema: { type: 'object' as const }, ...each }) as Tool);
  return [...BUILT_IN.map((each) => each.tool), ...further];
}

/** The cursor is the position of the page's first tool. */
function page(tools: readonly Tool[], cursor: string | undefined, size: number): { tools: Tool[]; nextCursor?: string } {
  const start = Number(cursor ?? 0);
  const end = start + Math.max(1, size);
  return { tools: tools.slice(start, end), ...(end < tools.length ? { nextCursor: String(end) } : {}) };
}

async function call(name: string, args: Arguments, controls: Controls): Promise<CallToolResult> {
  const builtIn = BUILT_IN.find((each) => each.tool.name === name);
  const known = builtIn !== undefined || controls.behaviour.tools.some((each) => each.name === name);
  if (!known) {
    return answer(`no tool ${name}`, true);
  }
  try {
    return answer(builtIn === undefined ? name : await builtIn.run(args, controls), false);
  } catch (error) {
    return answer(String(error), true);
  }
}

function answer(content: string, isError: boolean): CallToolResult {
  return { content: [{ type: 'text', text: content }], ...(isError ? { isError } : {}) };
}

/** Blocks the event loop for at most 20 ms at a time, so that probes are answered while the core is busy. */
async function burn(milliseconds: number): Promise<string> {
  const end = performance.now() + milliseconds;
  let rounds = 0;
  while (performance.now() < end) {
    const pause = Math.min(performance.now() + 20, end);
    while (performance.now() < pause) {
      rounds += 1;
    }
    await after(0);
  }
  return `burned ${milliseconds} ms in ${hostname()} (${rounds} rounds)`;
}

function text(args: Arguments, name: string): string {
  const value = args[name];
  if (typeof value !== 'string') {
    throw new TypeError(`argument ${name} must be a string`);
  }
  return value;
}

function whole(args: Arguments, name: string): number {
  const value = args[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new TypeError(`argument ${name} must be a whole number`);
  }
  return value;
}

function tool(
  name: string,
  description: string,
  properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  annotations: Readonly<Record<string, boolean>>,
): Tool {
  const inputSchema = { type: 'object', properties, required: Object.keys(properties) };
  return { name, description, inputSchema, annotations } as Tool;
}
