import { z } from 'zod';
import { ResourceRequirements } from './kubernetes/resources.ts';
import type { Plain } from './schema/plain.ts';

export const Guard = z.object({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      'Whether the guard runs in front of the server. Policy, audit, Stdio, remote, service, authentication and bind: Loopback need it. Default: false; a later release turns it on.',
    ),
  resources: ResourceRequirements.optional().describe('Resources of the guard. Default: requests of 10m CPU and 48Mi memory.'),
});
export type Guard = Plain<z.output<typeof Guard>>;

export const PolicySettings = z.object({
  required: z
    .boolean()
    .default(false)
    .describe('Whether every call is refused as long as no MCPToolPolicy selects this server. Default: false.'),
});
export type PolicySettings = Plain<z.output<typeof PolicySettings>>;

export const Session = z.object({
  mode: z
    .enum(['Auto', 'Stateful', 'Stateless'])
    .default('Auto')
    .describe('Reserved; without effect in this release. Sessions are kept as the server answers. Default: Auto.'),
});
export type Session = Plain<z.output<typeof Session>>;
