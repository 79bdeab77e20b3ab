import type { Authentication } from '../../mcp/policy/bundle.ts';
import type { Answer } from '../answers.ts';
import { json, rpcError, withHeaders } from '../answers.ts';
import type { RequestId } from '../message/message.ts';

/** Where the metadata of a protected resource is found. Source: RFC 9728, section 3.1. */
export const METADATA_PATH = '/.well-known/oauth-protected-resource';

/** The origin under which the caller reached us, as far as it can be known behind proxies. `undefined` for a Host that is none. */
export function originOf(host: string | undefined, forwardedProtocol: string | undefined): string | undefined {
  if (host === undefined || !/^[A-Za-z0-9.\-:[\]]+$/.test(host)) return undefined;
  return `${forwardedProtocol?.split(',')[0]?.trim() === 'https' ? 'https' : 'http'}://${host}`;
}

/** 401: who are you? `error` only where a credential was sent. Source: RFC 6750, section 3; RFC 9728, section 5.1. */
export function unauthenticated(id: RequestId | undefined, origin: string | undefined, path: string, refusal: Refusal): Answer {
  const parts = refusal.kind === 'invalid' ? ['error="invalid_token"', `error_description="${refusal.reason}"`] : [];
  return challenge(rpcError(401, id, 401, `Unauthorized: ${refusal.reason}`), parts, refusal, origin, path);
}

/** 403: the same caller with these scopes may. The client steps up and asks again. */
export function insufficientScope(id: RequestId | undefined, origin: string | undefined, path: string, refusal: Refusal): Answer {
  const parts = ['error="insufficient_scope"'];
  return challenge(rpcError(403, id, 403, `Forbidden: ${refusal.reason}`), parts, refusal, origin, path);
}

export interface Refusal {
  readonly kind: 'missing' | 'invalid' | 'scope';
  readonly reason: string;
  readonly scopes: readonly string[];
}

function challenge(answer: Answer, parts: readonly string[], refusal: Refusal, origin: string | undefined, path: string): Answer {
  const scope = refusal.scopes.length === 0 ? [] : [`scope="${refusal.scopes.join(' ')}"`];
  const metadata = origin === undefined ? [] : [`resource_metadata="${origin}${METADATA_PATH}${path}"`];
  const attributes = [...parts, ...scope, ...metadata].join(', ');
  return withHeaders(answer, { 'www-authenticate': attributes === '' ? 'Bearer' : `Bearer ${attributes}` });
}

/** The metadata document; nothing unless JWT issuers are configured, as API keys have no authorization server. */
export function metadata(authentication: Authentication, origin: string | undefined, path: string): Answer | undefined {
  if (authentication.type !== 'Guard' || authentication.jwt.length === 0 || origin === undefined) return undefined;
  const scopes = [...new Set(authentication.jwt.flatMap((issuer) => issuer.requiredScopes))];
  return json(
    200,
    JSON.stringify({
      resource: `${origin}${path}`,
      authorization_servers: authentication.jwt.map((issuer) => issuer.issuer),
      bearer_methods_supported: ['header'],
      ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    }),
  );
}
