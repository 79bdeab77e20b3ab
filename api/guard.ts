import { z } from 'zod';
import { ResourceRequirements } from './kubernetes/resources.ts';
import type { Rule } from './schema/markers.ts';
import type { Plain } from './schema/plain.ts';

export const Guard = z.object({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      'Whether the guard runs in front of the server. Policy, audit, Stdio, remote, service, authentication, bind: Loopback and requestsPerSecond need it. Default: true.',
    ),
  resources: ResourceRequirements.optional().describe('Resources of the guard. Default: requests of 10m CPU and 48Mi memory.'),
});
export type Guard = Plain<z.output<typeof Guard>>;

/** What only a server with a guard can have: the field, and how CEL sees that it is asked for. */
const NEEDS_GUARD: Readonly<Record<string, string>> = {
  remote: 'has(self.remote)',
  service: 'has(self.service)',
  'transport.type: Stdio': "self.transport.type == 'Stdio'",
  'transport.bind: Loopback': "self.transport.bind == 'Loopback'",
  'an authentication.type other than None': "self.authentication.type != 'None'",
  'policy.required: true': 'self.policy.required',
  'autoscaling.requestsPerSecond': 'has(self.autoscaling) && has(self.autoscaling.requestsPerSecond)',
  'a header of verification.headers with valueFrom':
    'has(self.verification.headers) && self.verification.headers.exists(header, has(header.valueFrom))',
};

/** Rules of a whole spec: one each, so that a refusal names the field that asks for the guard. */
export const guardRules: readonly Rule[] = Object.entries(NEEDS_GUARD).map(([field, asked]) => ({
  rule: `self.guard.enabled || !(${asked})`,
  message: `${field} needs the guard: remove guard.enabled: false, or remove that`,
  fieldPath: '.guard.enabled',
}));

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
