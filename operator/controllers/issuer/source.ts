import { isObject } from '../../../mcp/jsonrpc.ts';
import type { Client } from '../../kube/client.ts';
import { isKubeError } from '../../kube/errors.ts';
import { type Download, HttpStatusError } from './download.ts';
import { KeySetError, type PublicKey, publicKeys } from './keyset.ts';

/** Where the keys of an issuer are fetched from. */
export type KeySource =
  /** This cluster's API server, which also says who its issuer is. */
  | { readonly type: 'Cluster' }
  /** The issuer's own metadata. */
  | { readonly type: 'Discovery'; readonly issuer: string }
  | { readonly type: 'URL'; readonly issuer: string; readonly url: string };

export interface FoundKeys {
  readonly issuer: string;
  readonly keys: readonly PublicKey[];
}

/** Rejects with `KeySetError`, or with the reason of `signal`. */
export type FetchKeys = (source: KeySource, signal: AbortSignal) => Promise<FoundKeys>;

/** @param client of this cluster's API server */
export function keyFetcher(client: Client, download: Download): FetchKeys {
  return async (source, signal) => {
    switch (source.type) {
      case 'Cluster':
        return clusterKeys(client, signal);
      case 'Discovery': {
        const at = await keysAddress(source.issuer, download, signal);
        return { issuer: source.issuer, keys: publicKeys(await download(at, signal)) };
      }
      case 'URL':
        return { issuer: source.issuer, keys: publicKeys(await download(new URL(source.url), signal)) };
    }
  };
}

/** The address of the keys in the metadata of an issuer. Sources: OpenID Connect Discovery 1.0, section 4; RFC 8414, sections 3 and 3.3. */
async function keysAddress(issuer: string, download: Download, signal: AbortSignal): Promise<URL> {
  const document = await metadata(issuer, download, signal);
  // Otherwise whoever serves one path of a host could speak for all of its issuers.
  if (field(document, 'issuer') !== issuer)
    throw new KeySetError('its metadata names another issuer; issuers must agree in every character');
  const address = field(document, 'jwks_uri');
  if (address === undefined || !URL.canParse(address)) throw new KeySetError('its metadata has no jwks_uri');
  return new URL(address);
}

async function metadata(issuer: string, download: Download, signal: AbortSignal): Promise<unknown> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  try {
    return await download(new URL(`${origin}${path}/.well-known/openid-configuration`), signal);
  } catch (error) {
    if (!(error instanceof HttpStatusError)) throw error;
    try {
      return await download(new URL(`${origin}/.well-known/oauth-authorization-server${path}`), signal);
    } catch (second) {
      throw second instanceof HttpStatusError ? error : second;
    }
  }
}

/** Every API server serves these two. Elsewhere, where `jwks_uri` may point, the same keys are found. Source: Kubernetes, "Service account issuer discovery". */
async function clusterKeys(client: Client, signal: AbortSignal): Promise<FoundKeys> {
  const issuer = field(await page(client, '/.well-known/openid-configuration', signal), 'issuer');
  if (issuer === undefined || issuer === '') throw new KeySetError('the API server does not say who its issuer is');
  return { issuer, keys: publicKeys(await page(client, '/openid/v1/jwks', signal)) };
}

/** The API server is trusted: it is bounded by time alone. */
const TIMEOUT_MS = 10_000;

async function page(client: Client, path: string, signal: AbortSignal): Promise<unknown> {
  try {
    const { statusCode, body } = await client.raw({
      method: 'GET',
      path,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = await body.text();
    if (statusCode !== 200) throw new KeySetError(`the API server answered ${path} with HTTP status ${statusCode}`);
    return JSON.parse(text) as unknown;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof KeySetError) throw error;
    throw new KeySetError(`the API server did not answer ${path}${isKubeError(error) ? `: ${error.message}` : ''}`, { cause: error });
  }
}

const field = (document: unknown, name: string): string | undefined => {
  const value = isObject(document) ? document[name] : undefined;
  return typeof value === 'string' ? value : undefined;
};
