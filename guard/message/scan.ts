import { isUtf8 } from 'node:buffer';

/**
 * The strict reader of request bodies.
 *
 * Guarantees: what it accepts, every JSON reader reads alike: no reader that keeps the first of two equal keys, folds case, stops at
 * a NUL, replaces a lone surrogate or tolerates trailing bytes finds another method, name or argument in it. The very bytes that were
 * scanned are forwarded; nothing here is ever serialised again.
 *
 * Assumptions: the caller has bounded the size of the body.
 */

/** Why a body was refused. The words are told to the caller; they never contain a part of the body. */
export type ScanProblem =
  | 'the body is not valid UTF-8'
  | 'the body begins with a byte order mark'
  | 'the body is not valid JSON'
  | 'the body is nested too deeply'
  | 'an object names the same key twice'
  | 'a key looks like a protocol key but is not'
  | 'the body contains a NUL character'
  | 'the body contains a lone surrogate'
  | 'the body contains a number that readers disagree about';

/** One member of a scanned object; `start` and `end` delimit its value in the text. */
export interface Member {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** A scanned document. `top` and `params` are empty unless the document, or its `params`, is an object. */
export interface Document {
  readonly text: string;
  readonly kind: 'object' | 'array' | 'scalar';
  readonly top: readonly Member[];
  readonly params: readonly Member[];
}

export type ScanResult = { readonly ok: true; readonly document: Document } | { readonly ok: false; readonly problem: ScanProblem };

/** Nesting that no sensible tool argument reaches; deep enough for JSON schemas sent as arguments. */
export const MAXIMUM_DEPTH = 64;

const ENVELOPE_KEYS = 'jsonrpc id method params result error'.split(' ');
const PARAMS_KEYS = [
  'name uri arguments _meta taskId task cursor ref argument context level requestId reason progressToken progress',
  'requestState inputResponses notifications protocolVersion capabilities clientInfo',
].flatMap((line) => line.split(' '));
const META_KEYS = 'protocolVersion clientCapabilities clientInfo logLevel subscriptionId related-task'
  .split(' ')
  .map((key) => `io.modelcontextprotocol/${key}`)
  .concat('progressToken');

/** The keys that mean something at one level, by their folded form. */
function folded(keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map((key) => [fold(key), key]));
}

/**
 * The form under which lenient readers would take two keys for one: compatibility composition, case folding (`ſ` is `s`, the Kelvin
 * sign is `k`, as in Go's encoding/json), and without white space, control and invisible characters.
 */
function fold(key: string): string {
  return key
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Cc}\p{White_Space}]/gu, '')
    .toUpperCase()
    .toLowerCase();
}

const ENVELOPE = folded(ENVELOPE_KEYS);
const PARAMS = folded(PARAMS_KEYS);
const META = folded(META_KEYS);

class Refusal extends Error {
  readonly problem: ScanProblem;
  constructor(problem: ScanProblem) {
    super(problem);
    this.problem = problem;
  }
}

/** Scans one request body. Never throws. */
export function scan(body: Buffer): ScanResult {
  if (body.length >= 2) {
    const mark = (body[0] ?? 0) * 256 + (body[1] ?? 0);
    if (mark === 0xefbb || mark === 0xfeff || mark === 0xfffe) return { ok: false, problem: 'the body begins with a byte order mark' };
  }
  if (!isUtf8(body)) return { ok: false, problem: 'the body is not valid UTF-8' };
  try {
    return { ok: true, document: new Scanner(body.toString('utf8')).document() };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, problem: error.problem };
    throw error;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** What a level of the document means, which decides the keys that it knows. */
type Level = 'envelope' | 'params' | 'meta' | 'other';

class Scanner {
  readonly #text: string;
  #at = 0;
  #top: Member[] = [];
  #params: Member[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): Document {
    this.#space();
    const first = this.#text.charCodeAt(this.#at);
    this.#value(0, 'envelope');
    this.#space();
    if (this.#at !== this.#text.length) throw new Refusal('the body is not valid JSON');
    const kind = first === OPEN_OBJECT ? 'object' : first === OPEN_ARRAY ? 'array' : 'scalar';
    return { text: this.#text, kind, top: this.#top, params: this.#params };
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #value(depth: number, level: Level): void {
    if (depth > MAXIMUM_DEPTH) throw new Refusal('the body is nested too deeply');
    switch (this.#text.charCodeAt(this.#at)) {
      case OPEN_OBJECT:
        this.#object(depth, level);
        return;
      case OPEN_ARRAY:
        this.#array(depth, level);
        return;
      case QUOTE:
        this.#string();
        return;
      case 0x74:
        this.#word('true');
        return;
      case 0x66:
        this.#word('false');
        return;
      case 0x6e:
        this.#word('null');
        return;
      default:
        this.#number();
    }
  }

  #object(depth: number, level: Level): void {
    const members: Member[] = [];
    let names: Set<string> | undefined;
    this.#at += 1;
    this.#space();
    if (this.#text.charCodeAt(this.#at) === CLOSE_OBJECT) {
      this.#at += 1;
    } else {
      for (;;) {
        if (this.#text.charCodeAt(this.#at) !== QUOTE) throw new Refusal('the body is not valid JSON');
        const key = this.#string();
        names = unique(key, members, names);
        known(key, level);
        this.#space();
        if (this.#text.charCodeAt(this.#at) !== COLON) throw new Refusal('the body is not valid JSON');
        this.#at += 1;
        this.#space();
        const start = this.#at;
        this.#value(depth + 1, inner(level, key));
        members.push({ key, start, end: this.#at });
        this.#space();
        const next = this.#text.charCodeAt(this.#at);
        this.#at += 1;
        if (next === CLOSE_OBJECT) break;
        if (next !== COMMA) throw new Refusal('the body is not valid JSON');
        this.#space();
      }
    }
    if (level === 'envelope') this.#top = members;
    else if (level === 'params') this.#params = members;
  }

  #array(depth: number, level: Level): void {
    // Elements of a batch are envelopes for the keys they know; the document keeps no members of them.
    const element: Level = level === 'envelope' && depth === 0 ? 'envelope' : 'other';
    this.#at += 1;
    this.#space();
    if (this.#text.charCodeAt(this.#at) === CLOSE_ARRAY) {
      this.#at += 1;
      return;
    }
    for (;;) {
      this.#value(depth + 1, element);
      this.#space();
      const next = this.#text.charCodeAt(this.#at);
      this.#at += 1;
      if (next === CLOSE_ARRAY) break;
      if (next !== COMMA) throw new Refusal('the body is not valid JSON');
      this.#space();
    }
    if (element === 'envelope') {
      this.#top = [];
      this.#params = [];
    }
  }

  /** Returns the string's value when it is short enough to be a key, decoded only where it has escapes. */
  #string(): string {
    const start = this.#at + 1;
    let at = start;
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(at);
      if (code === QUOTE) break;
      // Covers the end of the text too: NaN fails every comparison but this negated one.
      if (!(code >= 0x20)) throw new Refusal('the body is not valid JSON');
      if (code === BACKSLASH) {
        escaped = true;
        at = this.#escape(at + 1);
      } else {
        at += 1;
      }
    }
    this.#at = at + 1;
    const raw = this.#text.slice(start, at);
    return escaped ? String(JSON.parse(`"${raw}"`)) : raw;
  }

  /** Reads one escape, `at` being the place behind the backslash, and returns where the next character begins. */
  #escape(at: number): number {
    const code = this.#text.charCodeAt(at);
    if (code !== 0x75) {
      if (code === QUOTE || code === BACKSLASH || code === 0x2f) return at + 1;
      if (code === 0x62 || code === 0x66 || code === 0x6e || code === 0x72 || code === 0x74) return at + 1;
      throw new Refusal('the body is not valid JSON');
    }
    const unit = this.#unit(at + 1);
    if (unit === 0) throw new Refusal('the body contains a NUL character');
    if (unit < 0xd800 || unit > 0xdfff) return at + 5;
    if (unit > 0xdbff) throw new Refusal('the body contains a lone surrogate');
    if (this.#text.charCodeAt(at + 5) !== BACKSLASH || this.#text.charCodeAt(at + 6) !== 0x75) {
      throw new Refusal('the body contains a lone surrogate');
    }
    const low = this.#unit(at + 7);
    if (low < 0xdc00 || low > 0xdfff) throw new Refusal('the body contains a lone surrogate');
    return at + 11;
  }

  #unit(at: number): number {
    let unit = 0;
    for (let index = at; index < at + 4; index += 1) {
      const digit = hexadecimal(this.#text.charCodeAt(index));
      if (digit < 0) throw new Refusal('the body is not valid JSON');
      unit = unit * 16 + digit;
    }
    return unit;
  }

  #word(word: string): void {
    if (!this.#text.startsWith(word, this.#at)) throw new Refusal('the body is not valid JSON');
    this.#at += word.length;
  }

  #number(): void {
    const start = this.#at;
    if (this.#text.charCodeAt(this.#at) === 0x2d) this.#at += 1;
    if (this.#text.charCodeAt(this.#at) === 0x30) this.#at += 1;
    else this.#digits();
    let plain = true;
    if (this.#text.charCodeAt(this.#at) === 0x2e) {
      plain = false;
      this.#at += 1;
      this.#digits();
    }
    const exponent = this.#text.charCodeAt(this.#at);
    if (exponent === 0x65 || exponent === 0x45) {
      plain = false;
      this.#at += 1;
      const sign = this.#text.charCodeAt(this.#at);
      if (sign === 0x2b || sign === 0x2d) this.#at += 1;
      this.#digits();
    }
    const length = this.#at - start;
    // 1e400 is infinity for some readers and an error for others. 300 digits stay below what a double holds.
    if ((!plain || length > 300) && !Number.isFinite(Number(this.#text.slice(start, this.#at)))) {
      throw new Refusal('the body contains a number that readers disagree about');
    }
  }

  #digits(): void {
    const start = this.#at;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (!(code >= 0x30 && code <= 0x39)) break;
      this.#at += 1;
    }
    if (this.#at === start) throw new Refusal('the body is not valid JSON');
  }
}

function hexadecimal(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

/** Comparing a handful of keys is cheaper than hashing them; beyond that a set keeps a large object linear. */
function unique(key: string, members: readonly Member[], names: Set<string> | undefined): Set<string> | undefined {
  if (members.length < 12) {
    for (const member of members) if (member.key === key) throw new Refusal('an object names the same key twice');
    return undefined;
  }
  const set = names ?? new Set(members.map((member) => member.key));
  if (set.has(key)) throw new Refusal('an object names the same key twice');
  set.add(key);
  return set;
}

function inner(level: Level, key: string): Level {
  if (level === 'envelope') return key === 'params' ? 'params' : 'other';
  return level === 'params' && key === '_meta' ? 'meta' : 'other';
}

function known(key: string, level: Level): void {
  if (level === 'other') return;
  const keys = level === 'envelope' ? ENVELOPE : level === 'params' ? PARAMS : META;
  if (keys.get(key) === key) return;
  const exact = keys.get(fold(key));
  if (exact !== undefined && exact !== key) throw new Refusal('a key looks like a protocol key but is not');
}
