import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { IssuerKeys } from '../../mcp/policy/bundle.ts';

export interface TokenParts {
  readonly sub?: string;
  readonly aud?: string;
  readonly iss?: string;
  readonly scope?: string;
  /** Seconds from now; negative: expired. */
  readonly expiresIn?: number;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly kid?: string;
}

/** An identity provider: signs tokens, and serves just enough OAuth for an official client to fetch them. */
export interface Issuer {
  readonly url: string;
  readonly keys: () => IssuerKeys;
  readonly token: (parts?: TokenParts) => Promise<string>;
  /** Begins to sign with another key; the old one is forgotten. */
  readonly rotate: () => Promise<void>;
  /** Scopes that clients have asked for, in order. */
  readonly asked: readonly (string | undefined)[];
  readonly stop: () => Promise<void>;
}

export async function issuer(audience: string): Promise<Issuer> {
  let generation = 0;
  let pair = await generateKeyPair('ES256');
  let jwk = { ...(await exportJWK(pair.publicKey)), kid: 'key-0', alg: 'ES256' };
  const asked: (string | undefined)[] = [];
  const codes = new Map<string, string>();
  const http = createServer((request, response) => {
    const target = new URL(request.url ?? '/', url());
    const answer = (body: object): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      if (target.pathname === '/.well-known/oauth-authorization-server') answer(metadata());
      else if (target.pathname === '/register') answer({ ...(JSON.parse(body) as object), client_id: 'client' });
      else if (target.pathname === '/authorize') {
        const scope = target.searchParams.get('scope') ?? undefined;
        asked.push(scope);
        codes.set(`code-${asked.length}`, scope ?? '');
        const back = new URL(target.searchParams.get('redirect_uri') ?? '');
        back.searchParams.set('code', `code-${asked.length}`);
        response.writeHead(302, { location: back.href }).end();
      } else if (target.pathname === '/token') {
        const scope = codes.get(new URLSearchParams(body).get('code') ?? '') ?? '';
        void sign({ scope }).then((access_token) => answer({ access_token, token_type: 'Bearer', expires_in: 300, scope }));
      } else response.writeHead(404).end();
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  const url = (): string => `http://localhost:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const metadata = (): object => ({
    issuer: url(),
    authorization_endpoint: `${url()}/authorize`,
    token_endpoint: `${url()}/token`,
    registration_endpoint: `${url()}/register`,
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
  });
  const sign = ({ sub, aud, iss, scope, expiresIn, claims, kid }: TokenParts = {}): Promise<string> =>
    new SignJWT({ ...(scope === undefined ? {} : { scope }), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: kid ?? jwk.kid })
      .setIssuer(iss ?? url())
      .setSubject(sub ?? 'alice')
      .setAudience(aud ?? audience)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + (expiresIn ?? 300))
      .sign(pair.privateKey);
  return {
    url: url(),
    keys: () => ({ issuers: { [url()]: { keys: [jwk] } } }),
    token: sign,
    rotate: async () => {
      generation += 1;
      pair = await generateKeyPair('ES256');
      jwk = { ...(await exportJWK(pair.publicKey)), kid: `key-${generation}`, alg: 'ES256' };
    },
    asked,
    stop: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
