import { z } from 'zod';
import { listSet, rules, saying } from './schema/markers.ts';
import { DataKey, DNSLabel, ObjectName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

/** Only compared, never fetched: the bound is tight because rules over it cost as often as it may occur. */
const Issuer = z
  .string()
  .max(512)
  .regex(/^https?:\/\/[^\s?#]+$/)
  .meta(saying('must be the URL of an issuer, as it stands in the claim iss'));

const TokenSubject = z.object({
  issuer: Issuer.describe('Value of the claim iss.'),
  groups: z
    .array(z.string().min(1).max(253))
    .max(32)
    .meta(listSet)
    .optional()
    .describe('The caller is in at least one of these. Default: no matter.'),
  scopes: z
    .array(z.string().min(1).max(253))
    .max(32)
    .meta(listSet)
    .optional()
    .describe('The token has all of these. Where nothing else is missing, the caller is asked to get them. Default: none.'),
});

const ServiceAccountSubject = z.object({
  namespace: DNSLabel.describe('Namespace of the ServiceAccount.'),
  name: z
    .string()
    .max(253)
    .regex(/^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$/)
    .meta(saying('must be the name of a ServiceAccount, or * for all of the namespace'))
    .describe('Its name; * is every ServiceAccount of the namespace.'),
});

/** A caller. All given members must hold. */
export const PolicySubject = z
  .object({
    jwt: TokenSubject.optional().describe('A caller with a JSON Web Token. Default: no matter.'),
    serviceAccount: ServiceAccountSubject.optional().describe(
      'A caller with a token of a ServiceAccount of this cluster. Default: no matter.',
    ),
    user: DataKey.optional().describe('A caller with the API key of this name. Default: no matter.'),
    tunnel: ObjectName.optional().describe('A caller that arrived through this MCPTunnel of this cluster. Default: no matter.'),
    authenticated: z
      .boolean()
      .optional()
      .describe('Whether the caller is known at all; false is anonymous callers alone. Default: no matter.'),
  })
  .meta(
    rules({
      rule: 'has(self.jwt) || has(self.serviceAccount) || has(self.user) || has(self.tunnel) || has(self.authenticated)',
      message: 'an empty subject would be everyone: set at least one of jwt, serviceAccount, user, tunnel and authenticated',
    }),
  );
export type PolicySubject = Plain<z.output<typeof PolicySubject>>;
