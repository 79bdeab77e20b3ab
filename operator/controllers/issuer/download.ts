import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector, Client } from 'undici';
import { CONNECT_GRACE_MS, sendThrough } from '../../../mcp/http.ts';
import { networkFault } from '../../../mcp/network-fault.ts';
import { type Destinations, hostOf, refusedAddress, refusedURL } from './destination.ts';
import { KeySetError } from './keyset.ts';

/** All of it: name, connection, answer. */
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;

/** An answer other than success. */
export class HttpStatusError extends KeySetError {}

/** Fetches a JSON document of a stranger. Rejects with `KeySetError`, in words that quote nothing of what was fetched, or with the reason of `signal`. */
export type Download = (url: URL, signal: AbortSignal) => Promise<unknown>;

/** Resolves a name to all of its addresses; Node's own unless a test has another. */
export type Resolve = (host: string, options: LookupOptions, callback: (error: Error | null, addresses: LookupAddress[]) => void) => void;

const system: Resolve = (host, options, callback) => resolve(host, { ...options, all: true }, callback);

/**
 * Guarantees: connects to no address that was not judged, since the connection is made to what the judged lookup returned and nothing is looked up twice;
 * follows no redirect; sends no credential; reads no more than 256 KiB and waits no longer than 5 s.
 */
export function downloader(destinations: Destinations, lookup: Resolve = system): Download {
  return async (url, signal) => {
    const refused =
      refusedURL(url, destinations) ?? (isIP(hostOf(url)) === 0 ? undefined : refusedAddress(hostOf(url), hostOf(url), destinations));
    if (refused !== undefined) throw new KeySetError(refused);
    // The deadline comes first; to destroy a client does not end what is still connecting.
    const client = new Client(url.origin, {
      connect: buildConnector({ timeout: TIMEOUT_MS + CONNECT_GRACE_MS, lookup: judgedLookup(destinations, lookup) }),
    });
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await documentAt(client, url, AbortSignal.any([signal, deadline]));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof KeySetError) throw error;
      if (deadline.aborted) throw new KeySetError(`${url.host} did not answer within ${TIMEOUT_MS / 1000} s`, { cause: error });
      const cause = refusalIn(error);
      throw new KeySetError(cause ?? networkFault(error, url).message, { cause: error });
    } finally {
      await client.destroy();
    }
  };
}

async function documentAt(client: Client, url: URL, signal: AbortSignal): Promise<unknown> {
  const response = await sendThrough(client)({ method: 'GET', url, headers: { accept: 'application/json' }, signal });
  const at = `${url.host}${url.pathname}`;
  if (response.status >= 300 && response.status < 400) {
    throw new HttpStatusError(`${at} redirects elsewhere, which is not followed: name the final address`);
  }
  if (response.status !== 200) throw new HttpStatusError(`${at} answered with HTTP status ${response.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new KeySetError(`${at} answered with more than ${MAX_BYTES / 1024} KiB`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (cause) {
    throw new KeySetError(`what ${at} answered is not JSON`, { cause });
  }
}

class RefusedAddress extends Error {}

/** One bad address among several is enough to refuse: which of them would be used is not ours to choose. */
function judgedLookup(destinations: Destinations, lookup: Resolve): LookupFunction {
  return (host, options, callback) => {
    lookup(host, options, (error, addresses) => {
      const refused = error === null ? addresses.flatMap(({ address }) => refusedAddress(host, address, destinations) ?? []) : [];
      const problem = error ?? (refused[0] === undefined ? null : new RefusedAddress(refused[0]));
      if (options.all === true) callback(problem, problem === null ? addresses : []);
      else callback(problem, addresses[0]?.address ?? '', addresses[0]?.family);
    });
  };
}

const refusalIn = (error: unknown): string | undefined => {
  if (error instanceof RefusedAddress) return error.message;
  return error instanceof Error && error.cause !== undefined && error.cause !== error ? refusalIn(error.cause) : undefined;
};
