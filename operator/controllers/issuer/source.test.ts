import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Client } from '../../kube/client.ts';
import { HttpStatusError } from './download.ts';
import { KeySetError } from './keyset.ts';
import { keyFetcher, type KeySource } from './source.ts';

const key = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
const keys = { keys: [key] };
const never = new AbortController().signal;

/** Documents by URL; everything else is 404. */
function fetching(documents: Readonly<Record<string, unknown>>) {
  const asked: string[] = [];
  const fetch = keyFetcher({} as Client, (url) => {
    asked.push(url.href);
    const document = documents[url.href];
    if (document instanceof Error) return Promise.reject(document);
    return document === undefined
      ? Promise.reject(new HttpStatusError(`${url.host} answered with HTTP status 404`))
      : Promise.resolve(document);
  });
  return { asked, fetch: (source: KeySource) => fetch(source, never) };
}

const discovery = (issuer: string): KeySource => ({ type: 'Discovery', issuer });

describe('the keys of an issuer', () => {
  it('are found by OpenID Connect discovery, below its path', async () => {
    const issuer = 'https://idp.example/tenant/';
    const { fetch } = fetching({
      'https://idp.example/tenant/.well-known/openid-configuration': { issuer, jwks_uri: 'https://keys.example/jwks' },
      'https://keys.example/jwks': keys,
    });
    expect(await fetch(discovery(issuer))).toEqual({ issuer, keys: [key] });
  });

  it('are found by the metadata of an OAuth authorization server, before its path', async () => {
    const issuer = 'https://idp.example/tenant';
    const { fetch, asked } = fetching({
      'https://idp.example/.well-known/oauth-authorization-server/tenant': { issuer, jwks_uri: 'https://idp.example/jwks' },
      'https://idp.example/jwks': keys,
    });
    expect(await fetch(discovery(issuer))).toEqual({ issuer, keys: [key] });
    expect(asked).toHaveLength(3);
  });

  it('are those at jwksURI where that is given, without discovery', async () => {
    const { fetch, asked } = fetching({ 'https://idp.example/jwks': keys });
    expect(await fetch({ type: 'URL', issuer: 'https://other.example', url: 'https://idp.example/jwks' })).toEqual({
      issuer: 'https://other.example',
      keys: [key],
    });
    expect(asked).toEqual(['https://idp.example/jwks']);
  });

  const at = 'https://idp.example/.well-known/openid-configuration';
  const refused: Record<string, [document: unknown, message: RegExp]> = {
    'metadata of another issuer': [{ issuer: 'https://idp.example/', jwks_uri: 'https://idp.example/jwks' }, /names another issuer/],
    'metadata without an issuer': [{ jwks_uri: 'https://idp.example/jwks' }, /names another issuer/],
    'metadata without keys': [{ issuer: 'https://idp.example' }, /has no jwks_uri/],
    'metadata with nonsense for keys': [{ issuer: 'https://idp.example', jwks_uri: 'nonsense' }, /has no jwks_uri/],
    'an issuer that is not there': [undefined, /HTTP status 404/],
    'an issuer that cannot be reached': [new KeySetError('nothing listens'), /nothing listens/],
  };
  for (const [what, [document, message]] of Object.entries(refused)) {
    it(`are not had from ${what}`, async () => {
      const { fetch } = fetching({ [at]: document, 'https://idp.example/jwks': keys });
      await expect(fetch(discovery('https://idp.example'))).rejects.toThrow(message);
    });
  }
});

describe('the keys of this cluster', () => {
  const cluster = (pages: Readonly<Record<string, [status: number, body: string]>>) =>
    keyFetcher(
      {
        raw: ({ path }: { path: string }) => {
          const [statusCode, body] = pages[path] ?? [404, ''];
          return Promise.resolve({ statusCode, body: { text: () => Promise.resolve(body) } });
        },
      } as unknown as Client,
      () => Promise.reject(new Error('nothing is downloaded')),
    )({ type: 'Cluster' }, never);
  const config = JSON.stringify({ issuer: 'https://kubernetes.default.svc', jwks_uri: 'https://elsewhere.example/jwks' });

  it('come from the API server, wherever its metadata points', async () => {
    const found = await cluster({ '/.well-known/openid-configuration': [200, config], '/openid/v1/jwks': [200, JSON.stringify(keys)] });
    expect(found).toEqual({ issuer: 'https://kubernetes.default.svc', keys: [key] });
  });

  it('are not had where the API server refuses', async () => {
    await expect(cluster({ '/.well-known/openid-configuration': [403, '{}'] })).rejects.toThrow('HTTP status 403');
    await expect(cluster({ '/.well-known/openid-configuration': [200, 'x'] })).rejects.toThrow(KeySetError);
    await expect(cluster({ '/.well-known/openid-configuration': [200, '{}'] })).rejects.toThrow('does not say who its issuer is');
  });
});
