import type { Authentication } from '../mcp/policy/bundle.ts';
import type { Caller } from '../mcp/policy/caller.ts';

export interface ForwardedIdentity {
  /** Whether the caller's own credential goes on. */
  readonly credential: boolean;
  /** Fields for the server, in lower case; empty ones are removed, so that no caller can send them itself. */
  readonly headers: ReadonlyMap<string, string>;
}

/** What the server learns of the caller: nothing, unless it is configured. */
export function forwardedIdentity(authentication: Authentication | undefined, caller: Caller | undefined): ForwardedIdentity {
  const nothing = { credential: false, headers: new Map<string, string>() };
  if (authentication === undefined || caller === undefined) return nothing;
  if (authentication.type === 'Upstream') return { ...nothing, credential: true };
  const { forward } = authentication;
  switch (forward.type) {
    case 'None':
      return nothing;
    case 'Token':
      // An API key is a secret between the caller and us; a token is meant for this server by its audience.
      return { ...nothing, credential: caller.type === 'jwt' || caller.type === 'serviceAccount' };
    case 'Headers': {
      const verified = authentication.type === 'Guard' ? { user: user(caller), groups: groups(caller) } : { user: '', groups: [] };
      const headers = new Map([
        [forward.userHeader.toLowerCase(), fieldValue(verified.user)],
        [forward.groupsHeader.toLowerCase(), verified.groups.map(fieldValue).join(',')],
      ]);
      return { credential: false, headers };
    }
  }
}

function user(caller: Caller): string {
  switch (caller.type) {
    case 'anonymous':
      return '';
    case 'serviceAccount':
      return `system:serviceaccount:${caller.namespace}:${caller.name}`;
    case 'apiKey':
      return caller.user;
    case 'jwt':
      return caller.subject;
  }
}

function groups(caller: Caller): readonly string[] {
  if (caller.type === 'serviceAccount') return ['system:serviceaccounts', `system:serviceaccounts:${caller.namespace}`];
  return caller.type === 'jwt' ? (caller.groups ?? []) : [];
}

/** Percent-encodes what a header field cannot hold, and the comma that separates groups. */
function fieldValue(value: string): string {
  return value.replaceAll(/[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
