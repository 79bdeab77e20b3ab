/**
 * Finds the places of values in JSON text that `JSON.parse` has accepted, so that a value can be cut out or replaced while every
 * other byte stays: numbers, key order and unknown fields survive.
 */

/** Delimits a value in a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An object names a key twice, so that readers could find different values: such an answer is not changed but refused. */
export class AmbiguousKeyError extends Error {
  override readonly name = 'AmbiguousKeyError';
}

/** The members of the object whose brace is at `start`. Throws `AmbiguousKeyError`. */
export function memberSpans(text: string, start: number): ReadonlyMap<string, Span> {
  const members = new Map<string, Span>();
  let at = space(text, start + 1);
  while (text[at] === '"') {
    const keyEnd = skip(text, at);
    const key = String(JSON.parse(text.slice(at, keyEnd)));
    if (members.has(key)) throw new AmbiguousKeyError(`the key ${key} appears twice`);
    const valueStart = space(text, space(text, keyEnd) + 1);
    const valueEnd = skip(text, valueStart);
    members.set(key, { start: valueStart, end: valueEnd });
    at = space(text, valueEnd);
    if (text[at] !== ',') break;
    at = space(text, at + 1);
  }
  return members;
}

/** The elements of the array whose bracket is at `start`. */
export function elementSpans(text: string, start: number): readonly Span[] {
  const elements: Span[] = [];
  let at = space(text, start + 1);
  while (at < text.length && text[at] !== ']') {
    const end = skip(text, at);
    elements.push({ start: at, end });
    at = space(text, end);
    if (text[at] !== ',') break;
    at = space(text, at + 1);
  }
  return elements;
}

/** The place of a value by its keys, `undefined` where there is none. Throws `AmbiguousKeyError`. */
export function spanAt(text: string, path: readonly string[]): Span | undefined {
  let span: Span = { start: space(text, 0), end: text.length };
  for (const key of path) {
    if (text[span.start] !== '{') return undefined;
    const member = memberSpans(text, span.start).get(key);
    if (member === undefined) return undefined;
    span = member;
  }
  return span;
}

/** One place and what shall stand there. */
export interface Edit extends Span {
  readonly text: string;
}

/** The text with the edits made; they must not overlap. */
export function edited(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

function space(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

/** The place behind the value that begins at `start`. */
function skip(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return skipString(text, start);
  if (first !== '{' && first !== '[') return skipScalar(text, start);
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = skipString(text, at);
      continue;
    }
    if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) depth -= 1;
    at += 1;
    if (depth === 0) return at;
  }
  return at;
}

function skipString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && escaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end + 1;
}

/** Whether the quote at `at` is preceded by an odd number of backslashes. */
function escaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
  return backslashes % 2 === 1;
}

function skipScalar(text: string, start: number): number {
  let at = start;
  while (at < text.length && !',]} \n\r\t'.includes(text[at] ?? '')) at += 1;
  return at;
}
