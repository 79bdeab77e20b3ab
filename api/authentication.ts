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
    issuer: SafeURL.describe('Value of the claim iss, in every character; also where the keys are discovered. Each issuer once.'),
    audiences: Audiences.describe('A token must name one of these in the claim aud.'),
    jwksURI: OptionalSafeURL.optional().describe(
      'Where the keys are, if the issuer has no discovery. Fetched by the operator: a private address only for Services of the cluster, or with its flag --private-issuers. Default, or empty: discovered from the issuer.',
    ),
    jwks: z
      .object({
        configMapKeyRef: ConfigMapKeySelector.describe(
          'Key of a ConfigMap that holds a JSON Web Key Set. A change reaches the guards without a restart.',
        ),
      })
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
      "Takes tokens of this cluster's ServiceAccounts. Default: they are not taken.",
    ),
    jwt: z.array(JWTIssuer).max(8).meta(listMap('name')).optional().describe('Takes JSON Web Tokens of these issuers. Default: none.'),
    apiKeys: APIKeys.optional().describe('Takes API keys, sent as Bearer or X-Api-Key. Default: none.'),
    forward: z
      .enum(['None', 'Headers', 'Token'])
      .default('None')
      .describe(
        'What the server learns about the caller. None: nothing. Headers: the verified user and groups. Token: the token itself, which names one of the audiences above; never an API key. Default: None.',
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
        // Whoever gets such a token could use it at every other server that takes it.
        rule: "self.forward != 'Token' || !has(self.serviceAccounts) || !('mcp-fleet.dev' in self.serviceAccounts.audiences)",
        message:
          'tokens for audience mcp-fleet.dev are good at every server, so this one must not get them: name an audience of its own in serviceAccounts.audiences, or set another forward',
        fieldPath: '.forward',
      },
      {
        rule: '!has(self.jwt) || self.jwt.all(one, self.jwt.exists_one(other, other.issuer == one.issuer))',
        message: 'jwt must name each issuer once: a token is checked by what stands beside its issuer',
        fieldPath: '.jwt',
      },
      {
        rule: "!has(self.forwardHeaders) || self.forward == 'Headers'",
        message: 'forwardHeaders belongs to forward: Headers: set that or remove forwardHeaders',
        fieldPath: '.forwardHeaders',
      },
    ),
  );
export type Authentication = Plain<z.output<typeof Authentication>>;
