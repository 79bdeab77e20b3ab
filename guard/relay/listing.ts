import type { Caller } from '../../mcp/policy/caller.ts';
import type { PolicyObject } from '../../mcp/policy/engine.ts';
import type { JsonObject as DefinitionObject } from '../../mcp/jsonrpc.ts';
import type { Enforcement } from '../enforcement.ts';
import type { JsonObject } from '../message/message.ts';
import { isObject, own } from '../message/message.ts';
import type { Edit, Span } from '../message/spans.ts';
import { edited, elementSpans, memberSpans, spanAt } from '../message/spans.ts';
import type { KnownObjects } from '../objects.ts';

/** The lists that MCP knows: where their items are, and what names an item. */
export interface List {
  readonly method: string;
  readonly member: string;
  readonly type: 'tool' | 'prompt' | 'resource' | 'resourceTemplate';
  readonly key: string;
}

export const LISTS: readonly List[] = [
  { method: 'tools/list', member: 'tools', type: 'tool', key: 'name' },
  { method: 'prompts/list', member: 'prompts', type: 'prompt', key: 'name' },
  { method: 'resources/list', member: 'resources', type: 'resource', key: 'uri' },
  { method: 'resources/templates/list', member: 'resourceTemplates', type: 'resourceTemplate', key: 'uriTemplate' },
];

/** A filtered list must not be kept longer than this by whoever caches it, milliseconds: policies change. */
const MAXIMUM_TTL = 5_000;

/** A server's answer with a list: what `JSON.parse` gives for its text, and the text. */
export interface ListAnswer {
  readonly message: JsonObject;
  readonly text: string;
}

export interface Filtered {
  /** The text for the caller: the server's very text unless something had to change. */
  readonly text: string;
  readonly visible: number;
  readonly hidden: number;
  /** Some tool is not as the inventory has it. */
  readonly stale: boolean;
}

/**
 * Leaves in a list what the caller may see. Items are cut out of the text; everything else stays byte for byte, but for what would let
 * a cache show one caller's list to another (`cacheScope`, SEP-2549). Throws `AmbiguousKeyError` when the answer can be read in two ways.
 */
export function filterList(
  { message, text }: ListAnswer,
  list: List,
  caller: Caller,
  enforcement: Enforcement,
  objects: KnownObjects,
): Filtered {
  const result = spanAt(text, ['result']);
  if (result === undefined || text[result.start] !== '{') return { text, visible: 0, hidden: 0, stale: false };
  const members = memberSpans(text, result.start);
  const edits = cacheEdits(text, members);
  const array = members.get(list.member);
  if (array === undefined || text[array.start] !== '[') return { text: edited(text, edits), visible: 0, hidden: 0, stale: false };
  const spans = elementSpans(text, array.start);
  // The spans have shown that no key stands there twice: these are the elements that they delimit.
  const items = itemsOf(message, list);
  let stale = false;
  const kept = enforcement.engine.filter(caller, [...spans.keys()], (index) => {
    const span = spans[index];
    const object = objectOf(items[index], span === undefined ? '' : text.slice(span.start, span.end), list, caller, objects);
    stale ||= objects.differs(object);
    return object;
  });
  if (kept.length < spans.length) {
    const texts = kept.flatMap((index) => (spans[index] === undefined ? [] : [text.slice(spans[index].start, spans[index].end)]));
    edits.push({ ...array, text: `[${texts.join(',')}]` });
  }
  return {
    text: edits.length === 0 ? text : edited(text, edits),
    visible: kept.length,
    hidden: spans.length - kept.length,
    stale,
  };
}

function itemsOf(message: JsonObject, list: List): readonly unknown[] {
  const result = own(message, 'result');
  const items = isObject(result) ? own(result, list.member) : undefined;
  return Array.isArray(items) ? items : [];
}

/** Throws for an item without a name: the filter hides what it cannot judge. */
function objectOf(item: unknown, text: string, list: List, caller: Caller, objects: KnownObjects): PolicyObject {
  const name = isObject(item) ? own(item, list.key) : undefined;
  if (!isObject(item) || typeof name !== 'string') throw new TypeError(`an item of ${list.method} has no ${list.key}`);
  // A definition with a repeated key could be another tool to another reader.
  memberSpans(text, 0);
  if (list.type !== 'tool') return objects.listed(caller, list.type, name);
  return objects.listedTool(caller, name, item as DefinitionObject, text);
}

/** What of a result that depends on the caller must not be shared or kept for long. */
export function cacheEdits(text: string, members: ReadonlyMap<string, Span>): Edit[] {
  const edits: Edit[] = [];
  const scope = members.get('cacheScope');
  if (scope !== undefined && text.slice(scope.start, scope.end) !== '"private"') edits.push({ ...scope, text: '"private"' });
  const ttl = members.get('ttlMs');
  if (ttl !== undefined && !(Number(text.slice(ttl.start, ttl.end)) <= MAXIMUM_TTL)) edits.push({ ...ttl, text: String(MAXIMUM_TTL) });
  return edits;
}

/** The list that a result holds by its shape, for answers that are replayed without the request they belong to. */
export function listByShape(message: JsonObject): List | undefined {
  const result = own(message, 'result');
  return isObject(result) ? LISTS.find((list) => Array.isArray(own(result, list.member))) : undefined;
}
