import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { canonicalJson } from '../../mcp/digest.ts';
import type { JsonObject } from '../../mcp/jsonrpc.ts';
import type { Authentication, IssuerKeys } from '../../mcp/policy/bundle.ts';
import type { Caller } from '../../mcp/policy/caller.ts';

/** Asymmetric algorithms alone: `none` and a public key taken for a shared secret have no way in. Source: RFC 8725, section 3. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** Seconds by which clocks may differ. */
const CLOCK_TOLERANCE = 60;

export type TokenResult =
  /** `expires`: milliseconds since 1970, with the clock tolerance. */
  | { readonly ok: true; readonly caller: Caller; readonly expires: number }
  /** `scopes`: all that the issuer's configuration requires, when nothing but scopes is missing. */
  | {
      readonly ok: false;
      readonly reason: string;
      readonly scopes?: readonly string[];
      /** The issuer, when its token is signed with a key that did not come with the bundle. */
      readonly unknownKeyOf?: string;
    };

interface Issuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly requiredScopes: readonly string[];
  caller(claims: JWTPayload): Caller | undefined;
}

/**
 * Verifies bearer tokens against keys that came with the bundle; opens no connection.
 *
 * Guarantees: a token passes only with a configured issuer, one of that issuer's audiences, a valid signature by one of that issuer's
 * own keys, and within its time.
 */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #keys: IssuerKeys;
  readonly #sets = new Map<string, JWTVerifyGetKey>();
  readonly #now: () => number;

  constructor(authentication: Authentication, keys: IssuerKeys, now: () => number) {
    this.#issuers = issuers(authentication);
    this.#keys = keys;
    this.#now = now;
  }

  async verify(token: string): Promise<TokenResult> {
    // Loaded when the first token arrives: a guard that checks none does not pay for it.
    const jose = await import('jose');
    let claimed: string | undefined;
    try {
      claimed = jose.decodeJwt(token).iss;
    } catch {
      return { ok: false, reason: 'the credential is not known' };
    }
    const issuer = this.#issuers.get(claimed ?? '');
    if (issuer === undefined) return { ok: false, reason: 'the issuer of the token is not accepted' };
    let set = this.#sets.get(issuer.issuer);
    if (set === undefined) {
      set = jose.createLocalJWKSet({ keys: [...(this.#keys.issuers[issuer.issuer]?.keys ?? [])] });
      this.#sets.set(issuer.issuer, set);
    }
    let claims: JWTPayload;
    try {
      const verified = await jose.jwtVerify(token, set, {
        issuer: issuer.issuer,
        audience: [...issuer.audiences],
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        currentDate: new Date(this.#now()),
        requiredClaims: ['exp', 'sub'],
      });
      claims = verified.payload;
    } catch (error) {
      if (!isUnknownKey(error)) return { ok: false, reason: refusal(error) };
      const known = (this.#keys.issuers[issuer.issuer]?.keys ?? []).length > 0;
      const reason = known ? 'the token is signed with an unknown key' : 'the keys of its issuer are not known here yet';
      return { ok: false, reason, unknownKeyOf: issuer.issuer };
    }
    const granted = scopes(claims);
    if (!issuer.requiredScopes.every((scope) => granted.includes(scope))) {
      return { ok: false, reason: 'the token lacks a scope', scopes: issuer.requiredScopes };
    }
    const caller = issuer.caller(claims);
    if (caller === undefined) return { ok: false, reason: 'the token names no caller' };
    return { ok: true, caller, expires: ((claims.exp ?? 0) + CLOCK_TOLERANCE) * 1000 };
  }
}

function issuers(authentication: Authentication): ReadonlyMap<string, Issuer> {
  const found = new Map<string, Issuer>();
  const cluster = authentication.serviceAccounts;
  if (cluster !== undefined) {
    found.set(cluster.issuer, { issuer: cluster.issuer, audiences: cluster.audiences, requiredScopes: [], caller: serviceAccount });
  }
  for (const { issuer, audiences, requiredScopes, groupsClaim } of authentication.jwt) {
    // The cluster's own issuer stays the cluster's: its subjects are ServiceAccounts whatever else is configured.
    if (issuer === cluster?.issuer) continue;
    found.set(issuer, { issuer, audiences, requiredScopes, caller: (claims) => person(claims, groupsClaim) });
  }
  return found;
}

/** The issuer whose token a caller came by; `undefined`: it came by no token. */
export function issuerOf(caller: Caller, authentication: Authentication): string | undefined {
  if (caller.type === 'serviceAccount') return authentication.serviceAccounts?.issuer;
  return caller.type === 'jwt' ? caller.issuer : undefined;
}

/** Issuers of whose keys one or more are gone or changed. A key that is new beside the others takes nothing back. */
export function withdrawnKeys(before: IssuerKeys, now: IssuerKeys): readonly string[] {
  return Object.entries(before.issuers).flatMap(([issuer, { keys }]) => {
    const left = new Set((now.issuers[issuer]?.keys ?? []).map(keyText));
    return keys.every((key) => left.has(keyText(key))) ? [] : [issuer];
  });
}

/** A key whatever the order in which it is written; it comes from a JSON file. */
const keyText = (key: Readonly<Record<string, unknown>>): string => canonicalJson(key as JsonObject);

/** Source: Kubernetes, "system:serviceaccount:<namespace>:<name>". */
function serviceAccount(claims: JWTPayload): Caller | undefined {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(claims.sub ?? '');
  const [, namespace, name] = match ?? [];
  return namespace === undefined || name === undefined ? undefined : { type: 'serviceAccount', namespace, name };
}

function person(claims: JWTPayload, groupsClaim: string): Caller | undefined {
  const { iss, sub } = claims;
  if (iss === undefined || sub === undefined || sub === '') return undefined;
  const groups = groupsOf(claims, groupsClaim);
  return { type: 'jwt', issuer: iss, subject: sub, scopes: scopes(claims), ...(groups === undefined ? {} : { groups }) };
}

/** `undefined` when the token says that the groups are to be asked for elsewhere (Entra's overage), or gives something unreadable. */
function groupsOf(claims: JWTPayload, groupsClaim: string): readonly string[] | undefined {
  const elsewhere = claims['_claim_names'];
  if (typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, groupsClaim)) return undefined;
  const value = Object.hasOwn(claims, groupsClaim) ? claims[groupsClaim] : [];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((group) => typeof group === 'string') ? value : undefined;
}

/** `scope` as RFC 9068 writes it, or `scp` as Entra and Okta do. */
function scopes(claims: JWTPayload): readonly string[] {
  const value = claims['scope'] ?? claims['scp'];
  if (typeof value === 'string') return value.split(' ').filter((scope) => scope !== '');
  return Array.isArray(value) ? value.filter((scope) => typeof scope === 'string') : [];
}

const codeOf = (error: unknown): unknown => (typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined);

const isUnknownKey = (error: unknown): boolean => codeOf(error) === 'ERR_JWKS_NO_MATCHING_KEY';

function refusal(error: unknown): string {
  switch (codeOf(error)) {
    case 'ERR_JWT_EXPIRED':
      return 'the token has expired';
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return 'the token is not meant for this server or not valid yet';
    default:
      return 'the token is not valid';
  }
}
