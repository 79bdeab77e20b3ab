import type { Caller } from '../mcp/policy/caller.ts';
import type { PolicyObject } from '../mcp/policy/engine.ts';
import type { ToolFacts } from '../mcp/policy/toolclass.ts';
import type { JsonObject } from '../mcp/jsonrpc.ts';
import type { Enforcement } from './enforcement.ts';
import type { Listing } from './inventory.ts';
import { factsOfEntry } from './inventory.ts';
import type { Sight } from './streams.ts';

/** Entries of lists whose facts are remembered by their text. */
const MAXIMUM_ENTRIES = 5_000;
/** Names that one caller's own lists may add. */
const MAXIMUM_OWN = 5_000;

/** What one caller's own lists returned besides, or instead of, what the inventory has. */
interface Own {
  readonly tools: Map<string, ToolFacts>;
  readonly prompts: Set<string>;
  readonly resources: Set<string>;
  readonly templates: Set<string>;
}

/**
 * Which objects exist: those of the inventory, and those that the caller's own lists returned, for servers whose lists depend on the
 * caller. What the caller was shown last goes before the inventory, so that a changed tool is judged by its change at once.
 */
export class KnownObjects {
  readonly #inventory: () => Listing;
  readonly #entries = new Map<string, ToolFacts>();
  readonly #own = new WeakMap<Caller, Own>();

  constructor(inventory: () => Listing) {
    this.#inventory = inventory;
  }

  tool(caller: Caller, name: string): PolicyObject {
    const facts = this.#own.get(caller)?.tools.get(name) ?? this.#inventory().tools.get(name);
    return facts === undefined ? { type: 'tool', name } : { type: 'tool', name, facts };
  }

  prompt(caller: Caller, name: string): PolicyObject {
    const known = this.#inventory().prompts.has(name) || this.#own.get(caller)?.prompts.has(name) === true;
    return { type: 'prompt', name, known };
  }

  /** A resource is also known by a template that it is an expansion of. */
  resource(caller: Caller, uri: string): PolicyObject {
    const { resources, templates } = this.#inventory();
    const own = this.#own.get(caller);
    const known =
      resources.has(uri) ||
      own?.resources.has(uri) === true ||
      [...templates, ...(own?.templates ?? [])].some((template) => isExpansion(uri, template));
    return { type: 'resource', name: uri, known };
  }

  /** What a completion names: a template when it is one, otherwise a resource. */
  resourceOrTemplate(caller: Caller, uri: string): PolicyObject {
    const known = this.#inventory().templates.has(uri) || this.#own.get(caller)?.templates.has(uri) === true;
    return known ? { type: 'resourceTemplate', name: uri, known } : this.resource(caller, uri);
  }

  /** A tool as it stands in a list that is on its way to this caller. `text` is its definition as sent. */
  listedTool(caller: Caller, name: string, definition: JsonObject, text: string): PolicyObject {
    let facts = this.#entries.get(text);
    if (facts === undefined) {
      const fresh = factsOfEntry(definition);
      const known = this.#inventory().tools.get(name);
      // One object per definition: the engine remembers by it.
      facts = known?.digest === fresh.digest ? known : fresh;
      if (this.#entries.size >= MAXIMUM_ENTRIES) this.#entries.clear();
      this.#entries.set(text, facts);
    }
    const known = this.#inventory().tools.get(name);
    if (known?.digest === facts.digest) facts = known;
    const own = this.#ownOf(caller);
    if (known === facts) own.tools.delete(name);
    else if (own.tools.size < MAXIMUM_OWN) own.tools.set(name, facts);
    return { type: 'tool', name, facts };
  }

  /** Any other object as it stands in a list that is on its way to this caller. */
  listed(caller: Caller, type: 'prompt' | 'resource' | 'resourceTemplate', name: string): PolicyObject {
    const member = { prompt: 'prompts', resource: 'resources', resourceTemplate: 'templates' } as const;
    const own = this.#ownOf(caller)[member[type]];
    if (own.size < MAXIMUM_OWN && !this.#inventory()[member[type]].has(name)) own.add(name);
    return { type, name, known: true };
  }

  /** Whether the tool in a list is another one than the inventory has: then the inventory is behind. */
  differs(object: PolicyObject): boolean {
    if (object.type !== 'tool') return false;
    return this.#inventory().tools.get(object.name)?.digest !== object.facts?.digest;
  }

  /** The names that a caller sees in each list under what is in force. */
  sight(caller: Caller, enforcement: Enforcement): Sight {
    const { tools, prompts, resources, templates } = this.#inventory();
    const { engine } = enforcement;
    const named = (type: 'prompt' | 'resource' | 'resourceTemplate', names: ReadonlySet<string>): string[] =>
      engine.filter(caller, [...names], (name) => ({ type, name, known: true }));
    return {
      tools: engine.filter(caller, [...tools.keys()], (name) => this.tool(caller, name)),
      prompts: named('prompt', prompts),
      resources: [...named('resource', resources), ...named('resourceTemplate', templates)],
    };
  }

  #ownOf(caller: Caller): Own {
    let own = this.#own.get(caller);
    if (own === undefined) {
      own = { tools: new Map(), prompts: new Set(), resources: new Set(), templates: new Set() };
      this.#own.set(caller, own);
    }
    return own;
  }
}

/** Whether a URI can come from a template (RFC 6570), whatever its expressions become. Linear in the lengths. */
export function isExpansion(uri: string, template: string): boolean {
  const literals = template.split(/\{[^{}]*\}/u);
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  if (literals.length === 1) return uri === template;
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false;
  let at = first.length;
  const end = uri.length - last.length;
  for (const literal of literals.slice(1, -1)) {
    const found = uri.indexOf(literal, at);
    if (found === -1 || found + literal.length > end) return false;
    at = found + literal.length;
  }
  return true;
}
