import { z } from 'zod';
import { listSet } from './schema/markers.ts';
import { Annotations, ClusterRoleName, DNSLabel, OptionalObjectName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

export const ServiceAccountSettings = z.object({
  name: OptionalObjectName.optional().describe(
    'An existing ServiceAccount of this namespace to use. Default, or empty: one is created with the name of the server.',
  ),
  annotations: Annotations.optional().describe(
    'Annotations of the created ServiceAccount, such as those of cloud identities. Default: none.',
  ),
});
export type ServiceAccountSettings = Plain<z.output<typeof ServiceAccountSettings>>;

const Words = z.array(z.string().max(253)).min(1).max(64);

/** `rbac/v1.PolicyRule` without `nonResourceURLs`, which a Role cannot have. */
export const PolicyRule = z.object({
  apiGroups: Words.describe('API groups; the empty string is the core group.'),
  resources: Words.describe('Resources, subresources as pods/log.'),
  verbs: Words.describe('Verbs.'),
  resourceNames: z.array(z.string().max(253)).max(64).optional().describe('Names that the rule is limited to. Default: all.'),
});
export type PolicyRule = Plain<z.output<typeof PolicyRule>>;

export const KubernetesAccess = z.object({
  rules: z
    .array(PolicyRule)
    .max(64)
    .optional()
    .describe('Rules of a Role that is made for the server. Each must be covered by ClusterRole mcp-fleet-grantable. Default: none.'),
  clusterRoles: z
    .array(ClusterRoleName)
    .max(4)
    .meta(listSet)
    .optional()
    .describe(
      "ClusterRoles that the server is bound to. Each must be among those that the operator's settings allow (view by default). Default: none.",
    ),
  namespaces: z
    .array(DNSLabel)
    .max(16)
    .meta(listSet)
    .optional()
    .describe("Namespaces beside the server's own in which it gets the same rights. Default: none."),
  clusterWide: z.boolean().default(false).describe('Whether the rights hold in the whole cluster, by ClusterRoleBindings. Default: false.'),
  tokenExpirationSeconds: z
    .int32()
    .min(600)
    .max(86_400)
    .default(7200)
    .describe('Seconds that a token is valid; the kubelet renews it long before. Default: 7200.'),
  audience: z.string().max(1024).optional().describe("Audience of the token. Default, or empty: the API server's."),
});
export type KubernetesAccess = Plain<z.output<typeof KubernetesAccess>>;
