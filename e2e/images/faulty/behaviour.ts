import { parseArgs } from 'node:util';
import { z } from 'zod';

/**
 * How the server fails. All but the crashes can be switched on and off while it runs, so that tests see a server fail and recover.
 *
 * - `Healthy`: speaks MCP.
 * - `Silent`: accepts connections and never answers.
 * - `Binary`: answers with bytes that are not HTTP.
 * - `WebPage`: answers everything with 200 and a web page.
 * - `Unauthorized`, `Forbidden`, `Unavailable`: HTTP 401 as MCP asks (with `resource_metadata`), 403, 503.
 * - `JsonRpcError`: a JSON-RPC error for each request.
 * - `Slow`: speaks MCP, each answer `delayMilliseconds` late.
 * - `Deaf`: runs, but listens on no MCP port.
 * - `Crash`: writes `message` to standard error and exits with 1.
 * - `WriteRoot`, `NeedVariable`: crash as real programs do on a read-only root file system and without an environment variable.
 */
const MODES = [
  'Healthy',
  'Silent',
  'Binary',
  'WebPage',
  'Unauthorized',
  'Forbidden',
  'Unavailable',
  'JsonRpcError',
  'Slow',
  'Deaf',
  'Crash',
  'WriteRoot',
  'NeedVariable',
] as const;
export type Mode = (typeof MODES)[number];

/** `Legacy`: protocol versions up to 2025-11-25, `Modern`: 2026-07-28, `Both`: whichever the client speaks. */
export type Era = 'Legacy' | 'Modern' | 'Both';

/** A tool as the server lists it; what has no program of its own answers with its own name. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string | undefined;
  readonly annotations?: Readonly<Record<string, boolean | string>> | undefined;
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
}

/** What the control port reads and changes. */
export interface Behaviour {
  mode: Mode;
  message: string;
  delayMilliseconds: number;
  /** Listed besides the built-in ones. */
  tools: readonly ToolDefinition[];
  /** Tools per page of `tools/list`. */
  pageSize: number;
}

export interface Options {
  readonly port: number;
  readonly controlPort: number;
  readonly address: string;
  readonly era: Era;
  /** Legacy only: sessions with `Mcp-Session-Id`, which one replica alone knows. */
  readonly sessions: boolean;
  /** Requests without this bearer token get 401 as OAuth servers say it. */
  readonly token: string | undefined;
  readonly behaviour: Behaviour;
}

/** Reads the command line; each option also has an environment variable `FAULTY_…`. Errors: `TypeError` naming the option. */
export function options(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      mode: { type: 'string', default: environment['FAULTY_MODE'] ?? 'Healthy' },
      message: { type: 'string', default: environment['FAULTY_MESSAGE'] ?? 'fatal: asked to crash' },
      delay: { type: 'string', default: environment['FAULTY_DELAY'] ?? '2000' },
      tools: { type: 'string', default: environment['FAULTY_TOOLS'] ?? '0' },
      describes: { type: 'string', default: environment['FAULTY_DESCRIBES'] ?? 'Answers' },
      'page-size': { type: 'string', default: environment['FAULTY_PAGE_SIZE'] ?? '1000' },
      era: { type: 'string', default: environment['FAULTY_ERA'] ?? 'Both' },
      sessions: { type: 'boolean', default: environment['FAULTY_SESSIONS'] === 'true' },
      port: { type: 'string', default: environment['PORT'] ?? '8080' },
      'control-port': { type: 'string', default: environment['FAULTY_CONTROL_PORT'] ?? '9090' },
      address: { type: 'string', default: environment['FAULTY_ADDRESS'] ?? '0.0.0.0' },
    },
  });
  return {
    port: integer('port', values.port),
    controlPort: integer('control-port', values['control-port']),
    address: values.address,
    era: oneOf('era', values.era, ['Legacy', 'Modern', 'Both']),
    sessions: values.sessions,
    token: environment['FAULTY_TOKEN'],
    behaviour: {
      mode: oneOf('mode', values.mode, MODES),
      message: values.message,
      delayMilliseconds: integer('delay', values.delay),
      tools: numbered(integer('tools', values.tools), values.describes),
      pageSize: integer('page-size', values['page-size']),
    },
  };
}

/** What a `PUT` to the control port may change. */
export const Change = z.strictObject({
  mode: z.enum(MODES).optional(),
  message: z.string().optional(),
  delayMilliseconds: z.int().nonnegative().optional(),
  pageSize: z.int().positive().optional(),
  tools: z
    .array(
      z.strictObject({
        name: z.string(),
        description: z.string().optional(),
        annotations: z.record(z.string(), z.union([z.boolean(), z.string()])).optional(),
        inputSchema: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .optional(),
});

/** Tools that read, each described by this verb and its name. */
export function numbered(count: number, verb: string): ToolDefinition[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `tool_${String(index + 1).padStart(4, '0')}`;
    return { name, description: `${verb} ${name}`, annotations: { readOnlyHint: true } };
  });
}

function integer(name: string, value: string): number {
  if (!/^\d+$/.test(value)) {
    throw new TypeError(`--${name} must be a whole number, not ${value}`);
  }
  return Number(value);
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) {
    throw new TypeError(`--${name} must be one of ${allowed.join(', ')}, not ${value}`);
  }
  return found;
}
