import { z } from 'zod';
import { GuardPort } from './group.ts';
import { rules } from './schema/markers.ts';
import { Port, URLPath } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

/** Port of a server that names none. */
const DEFAULT_PORT = 8080;
const DEFAULT_PATH = { StreamableHTTP: '/mcp', SSE: '/sse' } as const;

const guardPorts = Object.values(GuardPort).join(', ');

export const Transport = z
  .object({
    type: z
      .enum(['StreamableHTTP', 'SSE', 'Stdio'])
      .default('StreamableHTTP')
      .describe('How the server speaks MCP: StreamableHTTP; SSE, the HTTP transport of 2024-11-05; or Stdio. Default: StreamableHTTP.'),
    port: Port.meta(
      rules({
        rule: `!(self in [${guardPorts}])`,
        message: `${guardPorts} are ports of the guard in the same pod: let the server listen on another one`,
      }),
    )
      .optional()
      .describe(`Port that the server itself listens on. Default: ${DEFAULT_PORT}. Not for Stdio, remote and service.`),
    path: URLPath.optional().describe(
      'Path at which the server itself answers. Default: /mcp, for SSE /sse. Callers use /mcp with a guard, and this path without one. Not for Stdio and remote.',
    ),
    bind: z
      .enum(['AllInterfaces', 'Loopback'])
      .default('AllInterfaces')
      .describe('Loopback: the server listens on 127.0.0.1 and is reachable through the guard alone. Default: AllInterfaces.'),
  })
  .meta(
    rules(
      {
        rule: "self.type != 'Stdio' || !has(self.port)",
        message: 'a Stdio server has no port: remove port, or choose transport type StreamableHTTP or SSE',
        fieldPath: '.port',
      },
      {
        rule: "self.type != 'Stdio' || !has(self.path)",
        message: 'a Stdio server has no path: remove path, or choose transport type StreamableHTTP or SSE',
        fieldPath: '.path',
      },
      {
        rule: "self.type != 'Stdio' || self.bind != 'Loopback'",
        message: 'a Stdio server listens nowhere: remove bind, or choose transport type StreamableHTTP or SSE',
        fieldPath: '.bind',
      },
    ),
  );
export type Transport = Plain<z.output<typeof Transport>>;

export const Stdio = z.object({
  processes: z
    .enum(['Shared', 'PerSession'])
    .default('Shared')
    .describe('Shared: one child process for all callers. PerSession: one for each session. Default: Shared.'),
  maxProcesses: z.int32().min(1).max(1024).default(32).describe('Most child processes at a time in one pod. Default: 32.'),
});
export type Stdio = Plain<z.output<typeof Stdio>>;

/** The port that the server listens on, defaults applied; `undefined` for Stdio, which has none. */
export function serverPort({ type, port }: Transport): number | undefined {
  return type === 'Stdio' ? undefined : (port ?? DEFAULT_PORT);
}

/** The path at which the server answers, defaults applied; `undefined` for Stdio, which has none. */
export function serverPath({ type, path }: Transport): string | undefined {
  return type === 'Stdio' ? undefined : (path ?? DEFAULT_PATH[type]);
}
