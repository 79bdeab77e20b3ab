import { z } from 'zod';
import { Conditions } from './kubernetes/condition.ts';

import type { Plain } from './schema/plain.ts';

const Count = z.int32().min(0);
const Digest = z.string().max(128);
const Time = z.iso.datetime({ offset: true });

const Address = z.object({
  url: z.string().max(2048).optional().describe('Where callers in the cluster reach the server.'),
  externalURLs: z.array(z.string().max(2048)).max(64).optional().describe('Where callers outside reach it, by HTTPRoute and Ingress.'),
});

const ServerInfo = z.object({
  name: z.string().max(512).optional().describe('Name that the server gives itself.'),
  version: z.string().max(512).optional().describe('Version that the server gives itself.'),
  protocolVersions: z.array(z.string().max(64)).max(16).optional().describe('Versions of MCP that it speaks, as far as it said.'),
  era: z
    .enum(['Legacy', 'Modern'])
    .optional()
    .describe('Legacy: sessions begun by initialize, up to 2025-11-25. Modern: stateless requests with server/discover, from 2026-07-28.'),
  capabilities: z.array(z.string().max(128)).max(64).optional().describe('Capabilities that it declared.'),
});

const Tools = z.object({
  total: Count.optional().describe('Tools in all.'),
  readOnly: Count.optional().describe('Tools that declare that they only read.'),
  destructive: Count.optional().describe('Tools that are destructive, declared or by the default of MCP.'),
  unannotated: Count.optional().describe('Tools that declare nothing.'),
  digest: Digest.optional().describe('Digest over the digests of all tools.'),
  names: z.array(z.string().max(256)).max(50).optional().describe('Names of the first 50 tools.'),
  inventory: z.string().max(253).optional().describe('ConfigMap with the full list.'),
});

const VerificationStatus = z.object({
  lastSuccessTime: Time.optional().describe(
    'When a handshake and listing last worked. Moves at transitions and at most once per interval.',
  ),
  message: z.string().max(32_768).optional().describe('Outcome of the last verification.'),
});

const PolicyReference = z.object({
  name: z.string().max(253).describe('Name of the MCPToolPolicy.'),
  namespace: z.string().max(63).describe('Its namespace.'),
  generation: z.int().min(0).optional().describe('Its generation that is in force.'),
});

export const MCPServerStatus = z.object({
  observedGeneration: z.int().min(0).optional().describe('metadata.generation that this status speaks of.'),
  conditions: Conditions.optional().describe(
    'Ready, Accepted, Available, Verified, PolicyApplied, Exposed; Reconciling and Stalled only while true.',
  ),
  address: Address.optional().describe('Where the server is reached.'),
  replicas: Count.optional().describe('Pods there are.'),
  readyReplicas: Count.optional().describe('Pods that are ready.'),
  selector: z.string().max(4096).optional().describe('Label selector of the pods, for the scale subresource.'),
  server: ServerInfo.optional().describe('What the server said about itself.'),
  tools: Tools.optional().describe('Summary of its tools.'),
  verification: VerificationStatus.optional().describe('The last verification.'),
  policies: z.array(PolicyReference).max(64).optional().describe('Policies that select this server.'),
  policyDigest: Digest.optional().describe('Digest of the policy bundle that the guards should run.'),
  guards: z
    .object({ total: Count.describe('Guards there are.'), current: Count.describe('Guards that run the newest bundle.') })
    .optional()
    .describe('Guards of the server.'),
  lastHandledReconcileAt: z.string().max(256).optional().describe('Value of annotation mcp-fleet.dev/requestedAt that was last acted on.'),
});
export type MCPServerStatus = Plain<z.output<typeof MCPServerStatus>>;
