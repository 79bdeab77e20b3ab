import { z } from 'zod';
import { ConfigMapKeySelector } from './kubernetes/environment.ts';
import { listMap, listSet, rules } from './schema/markers.ts';
import { DNSLabel, HeaderName, ObjectName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';
import { OptionalSafeURL, SafeURL } from './schema/url.ts';

const Audiences = z.array(z.string().min(1).max(1024)).min(1).max(16).meta(listSet);

const ServiceAccountAuthentication = z.object({
  audiences: Audiences.default(['mcp-fleet.dev']).describe('A token must name one of these. Default: mcp-fleet.dev.'),
});

export const JWTIssuer = z
  .object({
    name: DNSLabel.describe('Name of the issuer in logs and messages.'),
    issuer: SafeURL.describe('Value of the claim iss; also where the keys are discovered.'),
    audiences: Audiences.describe('A token must name one of these in the claim aud.'),
    jwksURI: OptionalSafeURL.optional().describe(
      'Where the keys are, if the issuer has no discovery. Default, or empty: discovered from the issuer.',
    ),
    jwks: z
      .object({ configMapKeyRef: ConfigMapKeySelector.describe('Key of a ConfigMap that holds a JSON Web Key Set.') })
      .optional()
      .describe('The keys themselves. Default: discovered.'),
    groupsClaim: z.string().min(1).max(253).default('groups').describe('Claim that holds the groups. Default: groups.'),
    requiredScopes: z
      .array(z.string().min(1).max(253))
      .max(32)
      .meta(listSet)
      .optional()
      .describe('Scopes that a token must have, all of them. Default: none.'),
  })
  .meta(
    rules({
      rule: "!(has(self.jwks) && has(self.jwksURI) && self.jwksURI != '')",
      message: 'set jwks or jwksURI, not both: keys come from one place',
    }),
  );
export type JWTIssuer = Plain<z.output<typeof JWTIssuer>>;

const APIKeys = z.object({
  secretName: ObjectName.describe('Secret whose keys are user names and whose values are their API keys. Mounted in the guard alone.'),
});

const ForwardedHeaders = z.object({
  user: HeaderName.default('X-Forwarded-User').describe('Header that carries the user. Default: X-Forwarded-User.'),
  groups: HeaderName.default('X-Forwarded-Groups').describe(
    'Header that carries the groups, comma-separated. Default: X-Forwarded-Groups.',
  ),
});

export const Authentication = z
  .object({
    type: z
      .enum(['None', 'Guard', 'Upstream'])
      .default('None')
      .describe(
        'Who checks callers. None: nobody, everyone is anonymous. Guard: the guard, by the credentials named here. Upstream: the server itself; its OAuth passes untouched. Default: None.',
      ),
    anonymous: z
      .boolean()
      .default(false)
      .describe('With type Guard: whether callers without a credential pass as anonymous. Default: false.'),
    serviceAccounts: ServiceAccountAuthentication.optional().describe(
      "Takes tokens of this cluster's ServiceAccounts. Refused in this release (GuardRequired). Default: they are not taken.",
    ),
    jwt: z
      .array(JWTIssuer)
      .max(8)
      .meta(listMap('name'))
      .optional()
      .describe('Takes JSON Web Tokens of these issuers. Refused in this release (GuardRequired). Default: none.'),
    apiKeys: APIKeys.optional().describe('Takes API keys, sent as Bearer or X-Api-Key. Default: none.'),
    forward: z
      .enum(['None', 'Headers', 'Token'])
      .default('None')
      .describe(
        'What the server learns about the caller. None: nothing. Headers: the verified user and groups. Token: the token itself, if the server is one of its audiences. Default: None.',
      ),
    forwardHeaders: ForwardedHeaders.optional().describe(
      'Names of the headers for forward Headers. Default: X-Forwarded-User and X-Forwarded-Groups.',
    ),
  })
  .meta(
    rules(
      {
        rule: "self.type != 'Guard' || self.anonymous || has(self.serviceAccounts) || (has(self.jwt) && self.jwt.size() > 0) || has(self.apiKeys)",
        message: 'with type Guard nobody could call: set at least one of serviceAccounts, jwt and apiKeys, or anonymous: true',
      },
      {
        rule: "self.type == 'Guard' || !(has(self.serviceAccounts) || (has(self.jwt) && self.jwt.size() > 0) || has(self.apiKeys))",
        message: 'serviceAccounts, jwt and apiKeys are checked with type Guard alone: set type: Guard or remove them',
      },
      {
        rule: "self.type == 'Guard' || self.forward == 'None'",
        message: 'only a caller that the guard has checked can be forwarded: set type: Guard or forward: None',
        fieldPath: '.forward',
      },
      {
        rule: "!has(self.forwardHeaders) || self.forward == 'Headers'",
        message: 'forwardHeaders belongs to forward: Headers: set that or remove forwardHeaders',
        fieldPath: '.forwardHeaders',
      },
    ),
  );
export type Authentication = Plain<z.output<typeof Authentication>>;
