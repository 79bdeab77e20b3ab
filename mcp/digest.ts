import { createHash } from 'node:crypto';
import type { Json, JsonObject } from './jsonrpc.ts';

/**
 * RFC 8785 (JCS) text of a JSON value: members by UTF-16 code units, numbers and strings as ECMAScript writes them. Where the RFC refuses lone
 * surrogates, they appear here as `\udxxx`, so that every value that `JSON.parse` gives has a text. Throws `RangeError` for NaN and infinities.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('JSON has no such number');
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members: string[] = [];
  // The default order of sort is the one of the RFC.
  for (const key of Object.keys(value).toSorted()) {
    const member = value[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(',')}}`;
}

function isArray(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}

/** `sha256:<hex>` of the canonical JSON. */
export function digest(value: Json): string {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}

const definingMembers = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const;

/** Identity of a tool's definition: all that a model or a policy goes by. Icons and `_meta` may change without anybody noticing. */
export function toolDigest(tool: JsonObject): string {
  const defining: Record<string, Json> = {};
  for (const key of definingMembers) {
    const value = tool[key];
    if (value !== undefined) defining[key] = value;
  }
  return digest(defining);
}

/** Identity of a set of tools, whatever their order. */
export function inventoryDigest(tools: readonly { readonly name: string; readonly digest: string }[]): string {
  const entries = tools.map((tool) => [tool.name, tool.digest] as const);
  const sorted = entries.toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  return digest(sorted);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
