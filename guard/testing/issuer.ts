import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IssuerKeys } from '../../mcp/policy/bundle.ts';
import { type Signer, signer } from '../../mcp/testing/signer.ts';

/** An authorization server: signs tokens, and serves just enough OAuth for an official client to fetch them. */
export interface Issuer extends Pick<Signer, 'token' | 'rotate'> {
  readonly url: string;
  readonly keys: () => IssuerKeys;
  /** Scopes that clients have asked for, in order. */
  readonly asked: readonly (string | undefined)[];
  /** The resources that they asked for. Source: RFC 8707. */
  readonly resources: readonly (string | undefined)[];
  readonly stop: () => Promise<void>;
}

export async function issuer(audience: string): Promise<Issuer> {
  const asked: (string | undefined)[] = [];
  const resources: (string | undefined)[] = [];
  const codes = new Map<string, string>();
  const http = createServer((request, response) => {
    const target = new URL(request.url ?? '/', url);
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
        resources.push(target.searchParams.get('resource') ?? undefined);
        codes.set(`code-${asked.length}`, scope ?? '');
        const back = new URL(target.searchParams.get('redirect_uri') ?? '');
        back.searchParams.set('code', `code-${asked.length}`);
        response.writeHead(302, { location: back.href }).end();
      } else if (target.pathname === '/token') {
        const scope = codes.get(new URLSearchParams(body).get('code') ?? '') ?? '';
        void keys.token({ scope }).then((access_token) => answer({ access_token, token_type: 'Bearer', expires_in: 300, scope }));
      } else response.writeHead(404).end();
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  const url = `http://localhost:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const keys = await signer(url, audience);
  const metadata = (): object => ({
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    registration_endpoint: `${url}/register`,
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
  });
  return {
    url,
    keys: () => ({ issuers: { [url]: keys.keySet() } }),
    token: keys.token,
    rotate: keys.rotate,
    asked,
    resources,
    stop: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
