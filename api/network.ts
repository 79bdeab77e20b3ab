import { z } from 'zod';
import { NetworkPolicyPeer } from './kubernetes/network.ts';

import type { Plain } from './schema/plain.ts';

export const NetworkPolicyPeers = z.array(NetworkPolicyPeer).max(64);

const Egress = z.object({
  internet: z
    .boolean()
    .default(true)
    .describe(
      'Whether the server may open connections to every address but private, shared, link-local and metadata ranges. Default: true.',
    ),
  to: NetworkPolicyPeers.optional().describe('Further peers that it may open connections to, on every port. Default: none.'),
  dns: z.boolean().default(true).describe('Whether it may ask the DNS of the cluster. Default: true.'),
});

export const Network = z.object({
  managed: z.boolean().default(true).describe('Whether the operator makes a NetworkPolicy. Default: true.'),
  ingressFrom: NetworkPolicyPeers.optional().describe(
    'Who may open connections to the port that serves MCP. With a guard its admin port is open to the operator and its metrics port to telemetry.scrapeFrom; nothing else is. Default, or empty: everybody.',
  ),
  egress: Egress.prefault({}).describe('What the server may open connections to. Default: the internet and DNS.'),
});
export type Network = Plain<z.output<typeof Network>>;
