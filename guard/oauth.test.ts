import { createServer, request as httpRequest } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { bundle, policy } from './testing/bundle.ts';
import { serveLegacy } from './testing/everything/legacy.ts';
import { serveModern } from './testing/everything/modern.ts';
import { issuer, type Issuer } from './testing/issuer.ts';
import { eventually, runGuard } from './testing/running.ts';

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

const AUDIENCE = 'mcp';

/** What a test needs of an official client of any version. */
interface OfficialClient {
  callTool(parameters: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }): Promise<unknown>;
}

type Connect = (url: URL, login: Login) => Promise<OfficialClient>;

const info = { name: 'test', version: '1' };

const CLIENTS = {
  v1: async (url: URL, login: Login): Promise<OfficialClient> => {
    const client = new V1Client(info);
    const transport = new V1Transport(url, { authProvider: login });
    login.finish = (code) => transport.finishAuth(code);
    stopping.push(() => client.close());
    await client.connect(transport);
    return client;
  },
  v2: async (url: URL, login: Login): Promise<OfficialClient> => {
    const client = new Client(info, { versionNegotiation: { mode: 'auto' } });
    const transport = new StreamableHTTPClientTransport(url, { authProvider: login });
    login.finish = (code) => transport.finishAuth(code);
    stopping.push(() => client.close());
    await client.connect(transport);
    return client;
  },
};

/** What a host application keeps for the official client; the user agrees to everything at once. */
class Login {
  readonly redirectUrl = 'http://localhost:1/callback';
  readonly clientMetadata = { redirect_uris: [this.redirectUrl], client_name: 'test', token_endpoint_auth_method: 'none' };
  finish: (code: string) => Promise<void> = () => Promise.resolve();
  #information: unknown;
  #tokens: unknown;
  #verifier = '';
  #authorization: URL | undefined;
  #discovered: unknown;

  clientInformation(): never {
    return this.#information as never;
  }
  saveClientInformation(information: unknown): void {
    this.#information = information;
  }
  tokens(): never {
    return this.#tokens as never;
  }
  saveTokens(tokens: unknown): void {
    this.#tokens = tokens;
  }
  saveDiscoveryState(state: unknown): void {
    this.#discovered = state;
  }
  discoveryState(): never {
    return this.#discovered as never;
  }
  redirectToAuthorization(url: URL): void {
    this.#authorization = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  /** Follows the authorization to the code, and gives it to the client. */
  async complete(): Promise<void> {
    const response = await fetch(this.#authorization ?? '', { redirect: 'manual' });
    const code = new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? '';
    await this.finish(code);
  }
}

async function identityProvider(): Promise<Issuer> {
  const idp = await issuer(AUDIENCE);
  stopping.push(idp.stop);
  return idp;
}

async function everything(serve: Serve): Promise<string> {
  const server = await serve();
  stopping.push(server.stop);
  return server.url;
}

type Serve = () => Promise<{ readonly url: string; readonly stop: () => Promise<void> }>;

const PAIRS: readonly [client: string, server: string, connect: Connect, serve: Serve][] = [
  ['v1', 'of the legacy era', CLIENTS.v1, serveLegacy],
  ['v2', 'of the legacy era', CLIENTS.v2, serveLegacy],
  ['v2', 'of the modern era', CLIENTS.v2, serveModern],
];

describe.each(PAIRS)('the official client %s of a server %s', (_client, _server, connect, serve) => {
  test('logs in by the guard’s challenge, and steps up when a scope is missing', async () => {
    const idp = await identityProvider();
    const subjects = [{ jwt: { issuer: idp.url, groups: [], scopes: ['mcp:write'] } }];
    const writers = policy({
      defaultAction: 'Deny',
      rules: [
        { name: 'read', effect: 'Allow', tools: ['test_simple_text'], arguments: [] },
        { name: 'write', effect: 'Allow', tools: ['test_image_content'], subjects, arguments: [] },
      ],
    });
    const jwt = [{ name: 'corp', issuer: idp.url, audiences: [AUDIENCE], groupsClaim: 'groups', requiredScopes: ['mcp:use'] }];
    const guard = await runGuard({
      upstream: await everything(serve),
      bundle: bundle({ authentication: { type: 'Guard', jwt }, policies: [writers] }),
      keys: idp.keys(),
    });
    stopping.push(guard.stop);
    await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');

    const login = new Login();
    await expect(connect(new URL(guard.url), login)).rejects.toThrow();
    await login.complete();
    const client = await connect(new URL(guard.url), login);
    expect([idp.asked[0], idp.resources[0]]).toEqual(['mcp:use', guard.url]);
    expect(JSON.stringify(await client.callTool({ name: 'test_simple_text', arguments: {} }))).toContain('simple text');
    await expect(client.callTool({ name: 'test_image_content', arguments: {} })).rejects.toThrow();
    await login.complete();
    expect(idp.asked[1]?.split(' ')).toEqual(expect.arrayContaining(['mcp:use', 'mcp:write']));
    expect(JSON.stringify(await client.callTool({ name: 'test_image_content', arguments: {} }))).toContain('image');
  });

  test('logs in at a server that does its own OAuth, which the guard does not touch', async () => {
    const idp = await identityProvider();
    const own = await ownOAuth(await everything(serve), idp);
    const guard = await runGuard({ upstream: own.url, bundle: bundle({ authentication: { type: 'Upstream' } }) });
    stopping.push(guard.stop);
    own.publicUrl = guard.url;
    await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server has answered');

    const login = new Login();
    await expect(connect(new URL(guard.url), login)).rejects.toThrow();
    await login.complete();
    const client = await connect(new URL(guard.url), login);
    expect([idp.asked[0], idp.resources[0]]).toEqual(['own:scope', guard.url]);
    expect(JSON.stringify(await client.callTool({ name: 'test_simple_text', arguments: {} }))).toContain('simple text');
  });
});

/** An MCP server that asks for tokens itself, under the address that its callers use. */
async function ownOAuth(upstream: string, idp: Issuer): Promise<{ readonly url: string; publicUrl: string }> {
  const own = { url: '', publicUrl: '' };
  const metadata = '/.well-known/oauth-protected-resource/mcp';
  const verified = async (authorization: string | undefined): Promise<boolean> => {
    const keys = idp.keys().issuers[idp.url]?.keys ?? [];
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '';
    return jwtVerify(token, createLocalJWKSet({ keys: [...keys] }), { issuer: idp.url, audience: AUDIENCE }).then(
      () => true,
      () => false,
    );
  };
  const server = createServer((request, response) => {
    const origin = new URL(own.publicUrl === '' ? own.url : own.publicUrl).origin;
    if (request.url === metadata) {
      const document = { resource: `${origin}/mcp`, authorization_servers: [idp.url], scopes_supported: ['own:scope'] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
      return;
    }
    void verified(request.headers.authorization).then((passes) => {
      if (!passes) {
        const challenge = `Bearer error="invalid_token", scope="own:scope", resource_metadata="${origin}${metadata}"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
        return;
      }
      const { method = 'GET', headers } = request;
      const onward = httpRequest(upstream, { method, headers: { ...headers, host: new URL(upstream).host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  own.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  stopping.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return own;
}
