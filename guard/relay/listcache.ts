import type { Caller } from '../../mcp/policy/caller.ts';
import type { Enforcement } from '../enforcement.ts';
import { spanAt } from '../message/spans.ts';
import type { Filtered } from './listing.ts';

/** Lists that are remembered; the least recently used goes first. */
const MAXIMUM_LISTS = 64;
/** Larger texts are filtered each time rather than kept. */
const MAXIMUM_TEXT = 1024 * 1024;

interface Remembered {
  readonly enforcement: Enforcement;
  /** When a rule ends and the answer may be another, milliseconds since 1970. */
  readonly until: number;
  /** What stands before and behind the id, as the server sent it and as the caller gets it. */
  readonly sent: Around;
  readonly given: Around;
  readonly filtered: Filtered;
}

interface Around {
  readonly before: string;
  readonly behind: string;
}

/**
 * Remembers the last filtered text of each caller's lists: servers answer a list with the same text again and again, but for the id.
 *
 * Guarantees: an answer is taken from here only for the same text of the server, the same caller and the same things in force.
 */
export class ListCache {
  readonly #lists = new Map<string, WeakMap<Caller, Remembered>>();
  readonly #order = new Map<object, { readonly member: string; readonly caller: Caller }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  find(member: string, caller: Caller, enforcement: Enforcement, id: string, text: string): Filtered | undefined {
    const remembered = this.#lists.get(member)?.get(caller);
    if (remembered === undefined || remembered.enforcement !== enforcement || remembered.until <= this.#now()) return undefined;
    const { sent, given, filtered } = remembered;
    if (text.length !== sent.before.length + id.length + sent.behind.length) return undefined;
    if (!text.startsWith(sent.before) || !text.endsWith(sent.behind) || !text.startsWith(id, sent.before.length)) return undefined;
    return { ...filtered, text: `${given.before}${id}${given.behind}` };
  }

  remember(member: string, caller: Caller, enforcement: Enforcement, text: string, filtered: Filtered): void {
    const sent = around(text);
    const given = around(filtered.text);
    if (sent === undefined || given === undefined || text.length > MAXIMUM_TEXT) return;
    const lists = this.#lists.get(member) ?? new WeakMap<Caller, Remembered>();
    this.#lists.set(member, lists);
    const known = lists.get(caller);
    if (known !== undefined) this.#order.delete(known);
    const until = enforcement.engine.nextExpiry() ?? Number.POSITIVE_INFINITY;
    const remembered: Remembered = { enforcement, until, sent, given, filtered };
    lists.set(caller, remembered);
    this.#order.set(remembered, { member, caller });
    for (const [oldest, place] of this.#order) {
      if (this.#order.size <= MAXIMUM_LISTS) break;
      this.#order.delete(oldest);
      this.#lists.get(place.member)?.delete(place.caller);
    }
  }
}

function around(text: string): Around | undefined {
  const id = spanAt(text, ['id']);
  return id === undefined ? undefined : { before: text.slice(0, id.start), behind: text.slice(id.end) };
}
