/**
 * JSON Pointers (RFC 6901) with two extensions: a segment `*` is every element of an array or object, and, where a policy names what to redact,
 * `**` is any depth. An element whose own key is `*` cannot be named.
 */
export const POINTER = /^(\/([^~/]|~[01])*)+$/u;

/** How many values one evaluation may visit before it counts as an error, and so as a refusal. */
export const MAX_VISITS = 10_000;

/** Marks a place where the pointer leads nowhere. */
export const ABSENT: unique symbol = Symbol('absent');

export function parsePointer(pointer: string): readonly string[] {
  if (!POINTER.test(pointer)) throw new SyntaxError(`not a JSON Pointer: ${pointer}`);
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** All values at the pointer, `ABSENT` for each place where it leads nowhere; never empty. Throws `RangeError` beyond `MAX_VISITS`. */
export function valuesAt(document: unknown, segments: readonly string[]): readonly unknown[] {
  let current: unknown[] = [document];
  let visits = 0;
  for (const segment of segments) {
    const next: unknown[] = [];
    for (const value of current) {
      if (segment === '*') pushElements(next, value);
      else next.push(memberOf(value, segment));
    }
    visits += next.length;
    if (visits > MAX_VISITS) throw new RangeError(`more than ${MAX_VISITS} values at one pointer`);
    current = next;
  }
  return current;
}

/** An empty list says nothing about its elements: it counts as absent, so that no test holds vacuously. */
function pushElements(into: unknown[], value: unknown): void {
  if (typeof value !== 'object' || value === null) {
    into.push(ABSENT);
    return;
  }
  const elements: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (elements.length === 0) into.push(ABSENT);
  else if (elements.length > MAX_VISITS) throw new RangeError(`more than ${MAX_VISITS} values at one pointer`);
  else for (const element of elements) into.push(element);
}

const INDEX = /^(0|[1-9]\d*)$/u;

function memberOf(value: unknown, segment: string): unknown {
  if (typeof value !== 'object' || value === null) return ABSENT;
  if (Array.isArray(value)) {
    const index = INDEX.test(segment) ? Number(segment) : value.length;
    return index < value.length ? (value[index] as unknown) : ABSENT;
  }
  // Own members only: `__proto__` and `constructor` are ordinary names here.
  return Object.hasOwn(value, segment) ? (value as Record<string, unknown>)[segment] : ABSENT;
}
