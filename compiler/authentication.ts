import type { Authentication as Wanted } from '../api/authentication.ts';
import type { Authentication, Forward, JwtIssuer } from '../mcp/policy/bundle.ts';

/** `X-Forwarded-User` and `X-Forwarded-Groups` unless the server names others; as the schema says. */
const HEADERS = { user: 'X-Forwarded-User', groups: 'X-Forwarded-Groups' };

/**
 * What the guard needs to check callers. `clusterIssuer` is the issuer of this cluster's ServiceAccount tokens; while it is not known, none of them
 * is taken.
 */
export function authentication(wanted: Wanted, clusterIssuer: string | undefined): Authentication {
  const { type, anonymous, serviceAccounts, jwt = [], apiKeys } = wanted;
  return {
    type,
    anonymous,
    ...(serviceAccounts === undefined || clusterIssuer === undefined
      ? {}
      : { serviceAccounts: { issuer: clusterIssuer, audiences: serviceAccounts.audiences } }),
    jwt: jwt.map(
      ({ name, issuer, audiences, groupsClaim, requiredScopes = [] }): JwtIssuer => ({
        name,
        issuer,
        audiences,
        groupsClaim,
        requiredScopes,
      }),
    ),
    apiKeys: apiKeys !== undefined,
    forward: forward(wanted),
  };
}

function forward({ forward: what, forwardHeaders }: Wanted): Forward {
  if (what !== 'Headers') return { type: what };
  return { type: what, userHeader: forwardHeaders?.user ?? HEADERS.user, groupsHeader: forwardHeaders?.groups ?? HEADERS.groups };
}
