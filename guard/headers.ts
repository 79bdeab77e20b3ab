/**
 * Which header fields cross the guard. Header lists have names and values alternating, as Node gives and takes them.
 */

/** Fields that concern one connection. Source: RFC 9110, section 7.6.1. */
const HOP_BY_HOP = names(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade',
);

/** Fields of a request that the guard sets itself or answers for: the server learns its own Host, and no Origin. */
const REPLACED = names('host origin content-length content-encoding accept-encoding expect');

/** Fields that carry a caller's credential. */
const CREDENTIALS = names('authorization x-api-key cookie');

/** Fields that describe the exact bytes of a body, wrong once it was changed. */
const BYTES = names('content-length etag digest content-digest repr-digest content-md5 last-modified accept-ranges');

/** Fields of which two make a request ambiguous: Node joins some, keeps the first of others, and servers do it differently. */
const SINGLE = names(
  'host origin authorization x-api-key content-type content-length content-encoding transfer-encoding',
  'mcp-session-id mcp-protocol-version mcp-method mcp-name last-event-id',
);

/** Names that only guards and tunnels of ours may use towards a server. */
const OURS = 'x-mcp-fleet-';

/** The name of a field that appears twice although it must not, in lower case. */
export function duplicate(raw: readonly string[]): string | undefined {
  let seen: Set<string> | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = lower(raw, at);
    if (!SINGLE.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

export interface RequestHeaderRules {
  /** Whether the caller's credential goes on. */
  readonly credential: boolean;
  /** Fields that take the place of what the caller sent: names in lower case; an empty value removes the field. */
  readonly replace: ReadonlyMap<string, string>;
}

/** The header list for the server. */
export function requestHeaders(raw: readonly string[], rules: RequestHeaderRules): string[] {
  const dropped = connectionOptions(raw);
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = lower(raw, at);
    if (HOP_BY_HOP.has(name) || REPLACED.has(name) || rules.replace.has(name) || name.startsWith(OURS)) continue;
    if (dropped?.has(name) === true || (!rules.credential && CREDENTIALS.has(name))) continue;
    headers.push(raw[at] ?? '', raw[at + 1] ?? '');
  }
  headers.push('accept-encoding', 'identity');
  for (const [name, value] of rules.replace) if (value !== '') headers.push(name, value);
  return headers;
}

export interface ResponseHeaderRules {
  /** The length of the body when it is another one than the server sent; `undefined`: the body is the server's. */
  readonly length?: number;
  /** Fields that take the place of what the server sent: names in lower case; an empty value removes the field. */
  readonly replace: ReadonlyMap<string, string>;
}

/** The header list for the caller. */
export function responseHeaders(raw: readonly string[], rules: ResponseHeaderRules): string[] {
  const dropped = connectionOptions(raw);
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = lower(raw, at);
    if (HOP_BY_HOP.has(name) || rules.replace.has(name) || dropped?.has(name) === true) continue;
    if (rules.length !== undefined && BYTES.has(name)) continue;
    headers.push(raw[at] ?? '', raw[at + 1] ?? '');
  }
  for (const [name, value] of rules.replace) if (value !== '') headers.push(name, value);
  if (rules.length !== undefined) headers.push('content-length', String(rules.length));
  return headers;
}

/** The value of one field of a header list. */
export function field(raw: readonly string[], name: string): string | undefined {
  for (let at = 0; at < raw.length; at += 2) if (lower(raw, at) === name) return raw[at + 1];
  return undefined;
}

/** The media type of a Content-Type in lower case, without parameters. */
export function mediaType(value: string | undefined): string {
  return (value?.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Whether a Content-Type is JSON in UTF-8, said so or left out. */
export function isJson(value: string | undefined): boolean {
  if (value === undefined || mediaType(value) !== 'application/json') return false;
  const parameters = value.split(';').slice(1);
  return parameters.every((parameter) => {
    const [name, charset] = parameter.split('=', 2).map((part) => part.trim().toLowerCase());
    return name !== 'charset' || charset === 'utf-8' || charset === '"utf-8"' || charset === 'utf8';
  });
}

function lower(raw: readonly string[], at: number): string {
  return (raw[at] ?? '').toLowerCase();
}

/** Further fields that the sender declared to concern this connection alone. */
function connectionOptions(raw: readonly string[]): Set<string> | undefined {
  const value = field(raw, 'connection')?.toLowerCase();
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  return new Set(value.split(',').map((part) => part.trim()));
}

function names(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}
