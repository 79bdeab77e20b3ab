import type { Message } from './message.ts';
import { isObject, own } from './message.ts';

/**
 * Legacy: revisions up to 2025-11-25, with `initialize` and sessions. Modern: 2026-07-28 and later, every request on its own.
 * Source: MCP specification 2026-07-28, basic/versioning and basic/transports/streamable-http.
 */
export type Era = 'legacy' | 'modern';

/** The first modern revision. */
export const FIRST_MODERN_REVISION = '2026-07-28';

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** The request headers that must agree with the body in the modern era; absent ones are `undefined`. */
export interface StandardHeaders {
  readonly version: string | undefined;
  readonly method: string | undefined;
  readonly name: string | undefined;
}

export type EraResult =
  | { readonly ok: true; readonly era: Era; readonly version: string | undefined }
  /** Answered with HTTP 400 and -32020 (HeaderMismatch). */
  | { readonly ok: false; readonly problem: string };

/** Which parameter `Mcp-Name` mirrors. Source: SEP-2243, and SEP-2663 for tasks. */
const NAME_SOURCE: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/**
 * Tells the era of one posted message and whether its headers agree with it. The body decides; an explicit legacy version header
 * outranks reserved `_meta` keys that carry no version (a known connector sends those). A modern message that lacks what its revision
 * requires is still forwarded: the server's own words about it are better than ours, and no decision depends on it.
 */
export function eraOf(message: Message, headers: StandardHeaders): EraResult {
  if (message.kind === 'response') return { ok: true, era: 'legacy', version: headers.version };
  const { method, params } = message;
  const meta = params.read('_meta');
  const claim = isObject(meta) ? own(meta, VERSION_KEY) : undefined;
  const headerModern = headers.version !== undefined && isModern(headers.version);
  const claimModern = typeof claim === 'string' && isModern(claim);
  if (typeof claim === 'string' && headers.version !== undefined && headers.version !== claim) {
    return { ok: false, problem: 'MCP-Protocol-Version differs from the version in the body' };
  }
  if (typeof claim === 'string' && headers.method !== undefined && headers.method !== method) {
    return { ok: false, problem: 'Mcp-Method differs from the method in the body' };
  }
  if (method === 'initialize' && !claimModern) {
    return headerModern
      ? { ok: false, problem: 'initialize was sent with a modern MCP-Protocol-Version header' }
      : { ok: true, era: 'legacy', version: headers.version };
  }
  if (!claimModern && !headerModern) return { ok: true, era: 'legacy', version: headers.version };
  const disagreement = standardHeaders(message, headers);
  return disagreement === undefined
    ? { ok: true, era: 'modern', version: typeof claim === 'string' ? claim : headers.version }
    : { ok: false, problem: disagreement };
}

function standardHeaders(message: Exclude<Message, { kind: 'response' }>, headers: StandardHeaders): string | undefined {
  const request = message.kind === 'request';
  if (request && headers.version === undefined) return 'the MCP-Protocol-Version header is missing';
  if (headers.method === undefined ? request : headers.method !== message.method) {
    return headers.method === undefined ? 'the Mcp-Method header is missing' : 'Mcp-Method differs from the method in the body';
  }
  const source = NAME_SOURCE.get(message.method);
  if (!request || source === undefined) return undefined;
  const value = message.params.read(source);
  if (typeof value !== 'string') return undefined;
  if (headers.name === undefined) return 'the Mcp-Name header is missing';
  const decoded = decodeHeader(headers.name);
  if (decoded === undefined) return 'the Mcp-Name header is not validly encoded';
  return decoded === value ? undefined : `Mcp-Name differs from params.${source} in the body`;
}

/** Revisions are dates, which sort as text. Anything else that sorts later is judged by the stricter rules, as the official SDK does. */
export function isModern(version: string): boolean {
  return version >= FIRST_MODERN_REVISION;
}

const SENTINEL = /^=\?base64\?((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\?=$/;

/** Decodes a header value that may use the base64 sentinel of SEP-2243; `undefined` when it claims to and is malformed. */
export function decodeHeader(value: string): string | undefined {
  if (!(value.startsWith('=?base64?') && value.endsWith('?='))) return value;
  const payload = SENTINEL.exec(value)?.[1];
  if (payload === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(payload, 'base64'));
  } catch {
    return undefined;
  }
}
