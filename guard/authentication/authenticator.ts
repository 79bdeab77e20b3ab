import { createHash } from 'node:crypto';
import type { Authentication, IssuerKeys } from '../../mcp/policy/bundle.ts';
import type { Caller } from '../../mcp/policy/caller.ts';
import type { ApiKeys } from './apikeys.ts';
import { Tokens } from './tokens.ts';

/** The part of a request that says who calls. */
export interface Credentials {
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
  /** Address of the nearest hop; tells anonymous callers apart for limits alone. */
  readonly source: string | undefined;
}

export type AuthenticationResult =
  | {
      readonly ok: true;
      readonly caller: Caller;
      /** When what the caller proved itself with ends, milliseconds since 1970; `undefined`: never. */
      readonly expires: number | undefined;
    }
  | {
      readonly ok: false;
      /** `missing`: no credential at all. `invalid`: one that does not pass. `scope`: only a scope is missing. */
      readonly kind: 'missing' | 'invalid' | 'scope';
      readonly reason: string;
      readonly scopes: readonly string[];
    };

export interface AuthenticatorOptions {
  readonly authentication: Authentication;
  readonly keys: IssuerKeys;
  readonly apiKeys: ApiKeys | undefined;
  readonly now: () => number;
  /** A token of this issuer is signed with a key that is not among `keys`. */
  readonly unknownKey: (issuer: string) => void;
}

/** Verified credentials that are remembered. */
const MAXIMUM_REMEMBERED = 10_000;

/**
 * Tells who calls. A new one is made whenever the bundle, the issuers' keys or the API keys change, so that nothing remembered outlives
 * what it was verified against.
 *
 * Guarantees: one and the same `Caller` object for one credential, as the policy engine remembers decisions by it.
 */
export class Authenticator {
  readonly #authentication: Authentication;
  readonly #apiKeys: ApiKeys | undefined;
  readonly #tokens: Tokens;
  readonly #now: () => number;
  readonly #unknownKey: (issuer: string) => void;
  readonly #remembered = new Map<string, { readonly caller: Caller; readonly expires: number }>();
  readonly #anonymous = new Map<string, Caller>();

  constructor({ authentication, keys, apiKeys, now, unknownKey }: AuthenticatorOptions) {
    this.#authentication = authentication;
    this.#apiKeys = authentication.apiKeys ? apiKeys : undefined;
    this.#tokens = new Tokens(authentication, keys, now);
    this.#now = now;
    this.#unknownKey = unknownKey;
  }

  /** Answers at once where nothing has to be computed: for callers that need none, and for credentials seen before. */
  authenticate(credentials: Credentials): AuthenticationResult | Promise<AuthenticationResult> {
    if (this.#authentication.type !== 'Guard') return this.#anonymousCaller(credentials.source);
    const bearer = bearerToken(credentials.authorization);
    if (bearer === undefined && credentials.apiKey === undefined) {
      // A scheme that we do not know is a credential all the same: it must not make its owner anonymous.
      if (credentials.authorization !== undefined) return invalid('the authentication scheme is not accepted');
      if (this.#authentication.anonymous) return this.#anonymousCaller(credentials.source);
      return { ok: false, kind: 'missing', reason: 'a credential is required', scopes: this.#requiredScopes() };
    }
    if (bearer !== undefined && credentials.apiKey !== undefined) return invalid('two credentials were sent');
    const presented = bearer ?? credentials.apiKey ?? '';
    const user = this.#apiKeys?.caller(presented);
    if (user !== undefined) return { ok: true, caller: user, expires: undefined };
    if (bearer === undefined) return invalid('the credential is not known');
    const key = createHash('sha256').update(bearer).digest('base64');
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined && remembered.expires > this.#now()) return { ok: true, ...remembered };
    return this.#verify(bearer, key);
  }

  async #verify(token: string, key: string): Promise<AuthenticationResult> {
    const result = await this.#tokens.verify(token);
    if (!result.ok) {
      if (result.unknownKeyOf !== undefined) this.#unknownKey(result.unknownKeyOf);
      return result.scopes === undefined
        ? invalid(result.reason)
        : { ok: false, kind: 'scope', reason: result.reason, scopes: result.scopes };
    }
    const { caller, expires } = result;
    for (const [oldest] of this.#remembered) {
      if (this.#remembered.size < MAXIMUM_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(key, { caller, expires });
    return { ok: true, caller, expires };
  }

  #anonymousCaller(source: string | undefined): AuthenticationResult {
    const key = source ?? '';
    let caller = this.#anonymous.get(key);
    if (caller === undefined) {
      caller = source === undefined ? { type: 'anonymous' } : { type: 'anonymous', source };
      if (this.#anonymous.size >= MAXIMUM_REMEMBERED) this.#anonymous.clear();
      this.#anonymous.set(key, caller);
    }
    return { ok: true, caller, expires: undefined };
  }

  #requiredScopes(): readonly string[] {
    return [...new Set(this.#authentication.jwt.flatMap((issuer) => issuer.requiredScopes))];
  }
}

function invalid(reason: string): AuthenticationResult {
  return { ok: false, kind: 'invalid', reason, scopes: [] };
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}
