import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface TokenParts {
  readonly sub?: string;
  readonly aud?: string | string[];
  readonly iss?: string;
  readonly scope?: string;
  /** Seconds from now; negative: expired. */
  readonly expiresIn?: number;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly kid?: string;
}

/** What signs the tokens of one issuer. */
export interface Signer {
  /** A JSON Web Key Set with the newest key, or with all there ever were. */
  readonly keySet: (options?: { readonly all?: boolean }) => { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  readonly token: (parts?: TokenParts) => Promise<string>;
  /** Begins to sign with another key. */
  readonly rotate: () => Promise<void>;
}

export async function signer(issuer: string, audience: string): Promise<Signer> {
  const make = async (generation: number) => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: `key-${generation}`, alg: 'ES256', use: 'sig' } };
  };
  let newest = await make(0);
  const all = [newest];
  return {
    keySet: (options) => ({ keys: (options?.all === true ? all : [newest]).map(({ jwk }) => jwk) }),
    token: ({ sub, aud, iss, scope, expiresIn, claims, kid } = {}) =>
      new SignJWT({ ...(scope === undefined ? {} : { scope }), ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: kid ?? newest.jwk.kid })
        .setIssuer(iss ?? issuer)
        .setSubject(sub ?? 'alice')
        .setAudience(aud ?? audience)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + (expiresIn ?? 300))
        .sign(newest.privateKey),
    rotate: async () => {
      newest = await make(all.length);
      all.push(newest);
    },
  };
}

/** A token that says itself to be of no algorithm. */
export const unsigned = (claims: object): string =>
  `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`;

/** A token whose HMAC has a public key for its secret: what a careless verifier takes for one of the issuer. Source: RFC 8725, section 2.1. */
export function signedWithPublicKey(
  jwk: Readonly<Record<string, unknown>>,
  claims: { readonly [claim: string]: unknown },
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: String(jwk['kid']) })
    .sign(new TextEncoder().encode(JSON.stringify(jwk)));
}
