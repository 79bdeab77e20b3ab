import type { Connection } from './connection.ts';
import { inventoryDigest, toolDigest } from './digest.ts';
import { printable } from './excerpt.ts';
import { Fault } from './fault.ts';
import { isObject, type Json, type JsonObject } from './jsonrpc.ts';
import type { Limits } from './limits.ts';

/** What a server says of a tool; `undefined` where it says nothing, which is not the same as `false`. */
export interface Hints {
  readonly readOnly: boolean | undefined;
  readonly destructive: boolean | undefined;
  readonly idempotent: boolean | undefined;
  readonly openWorld: boolean | undefined;
}

export interface Tool {
  /** Exactly as the server gave it; not safe to print (`printable`). */
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly hints: Hints;
  readonly digest: string;
  /** The whole definition as parsed. */
  readonly definition: JsonObject;
}

/** All tools of a server, in the server's order. */
export interface Inventory {
  readonly tools: readonly Tool[];
  readonly digest: string;
  /** Names that occur more than once; only the first of each is in `tools`. */
  readonly duplicates: readonly string[];
  /** Faults of the server that did not keep us from reading the list; at most 20, printable. */
  readonly warnings: readonly string[];
}

/** What a tool may do, from harmless to dangerous. */
export type ToolClass = 'ReadOnly' | 'NonDestructive' | 'Destructive';

/** The class by the server's word, with the specification's defaults for what it leaves open. `readOnly` and `destructive` at once is `Destructive`. */
export function toolClass(hints: Hints): ToolClass {
  if (hints.readOnly === true) return hints.destructive === true ? 'Destructive' : 'ReadOnly';
  return hints.destructive === false ? 'NonDestructive' : 'Destructive';
}

/** The figures of `status.tools`. `unannotated`: neither `readOnlyHint` nor `destructiveHint` given; they count as destructive too. */
export interface ToolCounts {
  readonly total: number;
  readonly readOnly: number;
  readonly destructive: number;
  readonly unannotated: number;
}

export function toolCounts(tools: readonly { readonly hints: Hints }[]): ToolCounts {
  const classes = tools.map((tool) => toolClass(tool.hints));
  return {
    total: tools.length,
    readOnly: classes.filter((entry) => entry === 'ReadOnly').length,
    destructive: classes.filter((entry) => entry === 'Destructive').length,
    unannotated: tools.filter(({ hints }) => hints.readOnly === undefined && hints.destructive === undefined).length,
  };
}

const mostWarnings = 20;
/** UTF-8. Names become keys of pins and entries of lists, of which a ConfigMap must hold many. */
const longestName = 1024;
/** The specification recommends 1…128 characters of this set (2025-11-25, Tool Names). */
const properName = /^[A-Za-z0-9_.\-/]{1,128}$/;

export const emptyInventory: Inventory = toolInventory([]);

/** Judges the entries of `tools/list`. Throws a `Fault` where an entry is no tool: official clients refuse the whole list then. */
export function toolInventory(entries: readonly Json[]): Inventory {
  const tools: Tool[] = [];
  const seen = new Set<string>();
  const duplicates = new Set<string>();
  const warnings: string[] = [];
  const warn = (text: string) => {
    if (warnings.length < mostWarnings) warnings.push(text);
  };
  for (const [index, entry] of entries.entries()) {
    if (!isObject(entry) || typeof entry['name'] !== 'string' || entry['name'] === '') {
      throw new Fault('ProtocolError', `entry ${index + 1} of tools/list has no name`);
    }
    const { name } = entry;
    const bytes = Buffer.byteLength(name);
    if (bytes > longestName) {
      throw new Fault('ProtocolError', `the name of entry ${index + 1} of tools/list has ${bytes} bytes; the limit is ${longestName}`);
    }
    if (seen.has(name)) {
      if (!duplicates.has(name)) warn(`tool ${printable(name, 128)} is listed more than once; only the first counts`);
      duplicates.add(name);
      continue;
    }
    seen.add(name);
    if (!properName.test(name))
      warn(`tool name "${printable(name, 128)}" has characters or a length that the specification advises against`);
    if (!isObject(entry['inputSchema'])) warn(`tool ${printable(name, 128)} has no inputSchema; official clients refuse such a list`);
    const annotations = isObject(entry['annotations']) ? entry['annotations'] : {};
    for (const key of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) {
      if (annotations[key] !== undefined && typeof annotations[key] !== 'boolean')
        warn(`tool ${printable(name, 128)}: ${key} is no boolean and counts as absent`);
    }
    const hints = hintsOf(annotations);
    if (hints.readOnly === true && hints.destructive === true)
      warn(`tool ${printable(name, 128)} calls itself read-only and destructive; it counts as destructive`);
    tools.push({
      name,
      title: text(entry['title']) ?? text(annotations['title']),
      description: text(entry['description']),
      hints,
      digest: toolDigest(entry),
      definition: entry,
    });
  }
  return { tools, digest: inventoryDigest(tools), duplicates: [...duplicates], warnings };
}

function hintsOf(annotations: JsonObject): Hints {
  return {
    readOnly: flag(annotations['readOnlyHint']),
    destructive: flag(annotations['destructiveHint']),
    idempotent: flag(annotations['idempotentHint']),
    openWorld: flag(annotations['openWorldHint']),
  };
}

function flag(value: Json | undefined): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The lists that a server may have, with the member that holds the entries. */
const members = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
} as const;
export type ListMethod = keyof typeof members;

/**
 * Every entry of a list over all its pages. Cursors are opaque: an empty page may have one, and an empty string is one. Rejects like
 * `Connection.request`, and with a `Fault` when limits are exceeded or a cursor comes back.
 */
export async function everyPage(connection: Connection, method: ListMethod, limits: Limits): Promise<readonly Json[]> {
  const entries: Json[] = [];
  const cursors = new Set<string>();
  let cursor: string | undefined;
  for (let page = 1; ; page++) {
    const result = await connection.request(method, cursor === undefined ? {} : { cursor });
    const part = result[members[method]];
    if (!Array.isArray(part)) throw new Fault('ProtocolError', `the answer to ${method} has no list "${members[method]}"`);
    if (entries.length + part.length > limits.items)
      throw new Fault('ProtocolError', `${method} has more than ${limits.items} entries, which is the limit`);
    entries.push(...(part as readonly Json[]));
    const next = result['nextCursor'];
    // `null` is no cursor by the schema, but what some serializers write for "none".
    if (next === undefined || next === null) return entries;
    if (typeof next !== 'string') throw new Fault('ProtocolError', `${method}: nextCursor is no string`);
    if (cursors.has(next)) throw new Fault('ProtocolError', `${method} never ends: page ${page} repeats the cursor of an earlier one`);
    if (page >= limits.pages) throw new Fault('ProtocolError', `${method} has more than ${limits.pages} pages, which is the limit`);
    cursors.add(next);
    cursor = next;
  }
}
