import { headerValue } from './header-value.ts';
import { isObject, type Json, type JsonObject } from './jsonrpc.ts';

/**
 * The `Mcp-Param-…` headers that a modern server expects beside the arguments of a tool (SEP-2243): one for each property marked `x-mcp-header` that has
 * a value. Only chains of `properties` are followed, as specified; marks that are no header names are skipped.
 */
export function paramHeaders(inputSchema: Json | undefined, args: Json | undefined): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  const visit = (schema: Json | undefined, value: Json | undefined) => {
    if (!isObject(schema) || value === undefined) return;
    const name = schema['x-mcp-header'];
    const text = headerText(value);
    if (typeof name === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && text !== undefined) {
      headers[`mcp-param-${name.toLowerCase()}`] = headerValue(text);
    }
    if (!isObject(schema['properties']) || !isObject(value)) return;
    for (const [key, child] of Object.entries(schema['properties'])) {
      if (Object.hasOwn(value, key)) visit(child, value[key]);
    }
  };
  visit(inputSchema, args);
  return headers;
}

function headerText(value: Json): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}

/** The definition of one tool among the entries of `tools/list`. */
export function definitionOf(entries: readonly Json[], name: string): JsonObject | undefined {
  return entries.filter(isObject).find((entry) => entry['name'] === name);
}
