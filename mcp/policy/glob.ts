/**
 * Globs of policies. In names (tools, prompts, namespaces) `*` is any run of characters. In paths (resources, argument values) `*` stays
 * within one segment and `**` crosses `/`. Everything else is literal; there is no escape. Both match in time linear in the text for a given glob.
 */
export type Dialect = 'name' | 'path';

export type Matcher = (text: string) => boolean;

/** A glob reduced to the form in which an index can look it up. */
export type GlobForm =
  | { readonly kind: 'all' }
  | { readonly kind: 'exact'; readonly literal: string }
  | { readonly kind: 'prefix'; readonly literal: string }
  | { readonly kind: 'suffix'; readonly literal: string }
  | { readonly kind: 'general'; readonly matches: Matcher };

export function globForm(glob: string, dialect: Dialect): GlobForm {
  const first = glob.indexOf('*');
  if (first < 0) return { kind: 'exact', literal: glob };
  const any = dialect === 'name' ? /^\*+$/ : /^\*{2,}$/;
  const tail = glob.slice(first);
  if (any.test(tail)) return first === 0 ? { kind: 'all' } : { kind: 'prefix', literal: glob.slice(0, first) };
  const last = glob.lastIndexOf('*');
  if (any.test(glob.slice(0, last + 1))) return { kind: 'suffix', literal: glob.slice(last + 1) };
  return { kind: 'general', matches: dialect === 'name' ? nameMatcher(glob) : pathMatcher(glob) };
}

export function globMatcher(glob: string, dialect: Dialect): Matcher {
  const form = globForm(glob, dialect);
  switch (form.kind) {
    case 'all':
      return () => true;
    case 'exact':
      return (text) => text === form.literal;
    case 'prefix':
      return (text) => text.startsWith(form.literal);
    case 'suffix':
      return (text) => text.endsWith(form.literal);
    case 'general':
      return form.matches;
  }
}

/** Takes each literal at its first possible place, which is right when `*` crosses everything. */
function nameMatcher(glob: string): Matcher {
  const literals = glob.split(/\*+/);
  const head = literals.at(0) ?? '';
  const tail = literals.at(-1) ?? '';
  const middle = literals.slice(1, -1);
  return (text) => {
    if (!text.startsWith(head)) return false;
    let at = head.length;
    for (const literal of middle) {
      const found = text.indexOf(literal, at);
      if (found < 0) return false;
      at = found + literal.length;
    }
    return text.length - tail.length >= at && text.endsWith(tail);
  };
}

const SEGMENT = 1;
const CROSSING = 2;

/** Thompson's simulation: the set of glob positions reached so far, moved one character at a time. No backtracking. */
function pathMatcher(glob: string): Matcher {
  const literals: string[] = [];
  const stars: number[] = [];
  for (const token of glob.match(/\*+|[^*]/gu) ?? []) {
    literals.push(token);
    stars.push(token.startsWith('*') ? (token.length > 1 ? CROSSING : SEGMENT) : 0);
  }
  const end = literals.length;
  return (text) => {
    let current = closure([0], stars);
    for (const character of text) {
      const next: number[] = [];
      for (const position of current) {
        const star = stars[position] ?? 0;
        if (star === CROSSING || (star === SEGMENT && character !== '/')) next.push(position);
        else if (star === 0 && literals[position] === character) next.push(position + 1);
      }
      if (next.length === 0) return false;
      current = closure(next, stars);
    }
    return current.has(end);
  };
}

/** A star may also match nothing. */
function closure(positions: readonly number[], stars: readonly number[]): ReadonlySet<number> {
  const reached = new Set<number>();
  for (const start of positions) {
    let position = start;
    reached.add(position);
    while ((stars[position] ?? 0) !== 0) reached.add((position += 1));
  }
  return reached;
}

/** Numbers filed under globs: `match` finds all whose glob matches, without trying each glob. */
export class GlobIndex {
  readonly #dialect: Dialect;
  readonly #all: number[] = [];
  readonly #exact = new Map<string, number[]>();
  readonly #prefixes = new Map<number, Map<string, number[]>>();
  readonly #suffixes = new Map<number, Map<string, number[]>>();
  readonly #general = new Map<string, { matches: Matcher; numbers: number[] }>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  add(glob: string, value: number): void {
    const form = globForm(glob, this.#dialect);
    switch (form.kind) {
      case 'all':
        this.#all.push(value);
        return;
      case 'exact':
        listOf(this.#exact, form.literal).push(value);
        return;
      case 'prefix':
        listOf(byLength(this.#prefixes, form.literal.length), form.literal).push(value);
        return;
      case 'suffix':
        listOf(byLength(this.#suffixes, form.literal.length), form.literal).push(value);
        return;
      case 'general': {
        const entry = this.#general.get(glob);
        if (entry === undefined) this.#general.set(glob, { matches: form.matches, numbers: [value] });
        else entry.numbers.push(value);
      }
    }
  }

  /** Ascending, each number once. */
  match(text: string): readonly number[] {
    const found = new Set(this.#all);
    addTo(found, this.#exact.get(text));
    for (const [length, literals] of this.#prefixes) if (length <= text.length) addTo(found, literals.get(text.slice(0, length)));
    for (const [length, literals] of this.#suffixes) {
      if (length <= text.length) addTo(found, literals.get(text.slice(text.length - length)));
    }
    for (const { matches, numbers } of this.#general.values()) if (matches(text)) addTo(found, numbers);
    return [...found].toSorted((a, b) => a - b);
  }
}

function addTo(found: Set<number>, values: readonly number[] | undefined): void {
  if (values !== undefined) for (const value of values) found.add(value);
}

function listOf(lists: Map<string, number[]>, key: string): number[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

function byLength(tables: Map<number, Map<string, number[]>>, length: number): Map<string, number[]> {
  let table = tables.get(length);
  if (table === undefined) tables.set(length, (table = new Map()));
  return table;
}
