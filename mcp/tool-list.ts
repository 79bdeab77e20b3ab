import { printable } from './excerpt.ts';
import type { Hints, Inventory } from './inventory.ts';
import { isObject, MessageError, parseJson, type Json, type JsonObject } from './jsonrpc.ts';

/** One tool in the ConfigMap `<name>-tools`: what people and policies want to know, without the schemas. */
export interface ListedTool {
  /** Exactly the server's; not safe to print (`printable`). */
  readonly name: string;
  /** Printable, at most 120 characters. */
  readonly title: string | undefined;
  readonly hints: Hints;
  readonly digest: string;
  /** The server lists the name more than once: this is the first of them, and nothing of it is trusted. */
  readonly ambiguous?: true;
}

/** What is worth keeping of an inventory: its size does not depend on schemas and descriptions, which a server may make as long as it likes. */
export interface ListedInventory {
  readonly tools: readonly ListedTool[];
  readonly digest: string;
}

export function listedInventory({ tools, digest, duplicates }: Inventory): ListedInventory {
  const ambiguous = new Set(duplicates);
  return {
    tools: tools.map((tool) => ({
      name: tool.name,
      title: titleOf(tool),
      hints: tool.hints,
      digest: tool.digest,
      ...ambiguity(ambiguous.has(tool.name)),
    })),
    digest,
  };
}

const ambiguity = (ambiguous: unknown): Pick<ListedTool, 'ambiguous'> => (ambiguous === true ? { ambiguous } : {});

const titleOf = ({ title }: Pick<ListedTool, 'title'>): string | undefined => (title === undefined ? undefined : printable(title, 120));

/** Key of a part in its ConfigMap. */
export const toolListKey = 'tools.json';

/** A ConfigMap holds 1 MiB with everything around it. One tool has at most 7 KiB: names and titles are bounded. */
const partBytes = 900 * 1024;

/** The name of the ConfigMap for a part, counted from 0: `github-tools`, `github-tools-2`, `github-tools-3`. */
export function toolListName(server: string, part: number): string {
  return part === 0 ? `${server}-tools` : `${server}-tools-${part + 1}`;
}

/**
 * The tools as JSON arrays, one tool a line, in as many parts as a ConfigMap's size asks for; at least one. The same tools give the same bytes.
 */
export function toolListParts(tools: readonly ListedTool[], maximumBytes: number = partBytes): readonly string[] {
  const parts: string[][] = [[]];
  let size = 0;
  for (const tool of tools) {
    const line = JSON.stringify(entryOf(tool));
    const bytes = Buffer.byteLength(line) + 2;
    if (size + bytes > maximumBytes && size > 0) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)?.push(line);
    size += bytes;
  }
  return parts.map((lines) => (lines.length === 0 ? '[]\n' : `[\n${lines.join(',\n')}\n]\n`));
}

function entryOf({ name, title, hints, digest, ambiguous }: ListedTool): JsonObject {
  return {
    name,
    title: titleOf({ title }),
    readOnly: hints.readOnly,
    destructive: hints.destructive,
    idempotent: hints.idempotent,
    openWorld: hints.openWorld,
    digest,
    ...ambiguity(ambiguous),
  };
}

/** Reads one part. Throws `MessageError` when it is not one. */
export function parseToolList(text: string): readonly ListedTool[] {
  const value = parseJson(text, 8);
  if (!Array.isArray(value)) throw new MessageError('the tool list is no JSON array');
  return (value as readonly Json[]).map((entry) => {
    if (!isObject(entry)) throw new MessageError('an entry of the tool list is no object');
    const { name, title, digest } = entry;
    if (typeof name !== 'string' || typeof digest !== 'string') throw new MessageError('an entry of the tool list has no name or digest');
    const hint = (key: string) => (typeof entry[key] === 'boolean' ? entry[key] : undefined);
    return {
      name,
      title: typeof title === 'string' ? title : undefined,
      hints: { readOnly: hint('readOnly'), destructive: hint('destructive'), idempotent: hint('idempotent'), openWorld: hint('openWorld') },
      digest,
      ...ambiguity(entry['ambiguous']),
    };
  });
}
