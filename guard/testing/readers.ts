/**
 * JSON readers as servers have them, each lenient in its own way, for the differential tests: what the guard lets pass, all of them must
 * read alike. They give what a server acts upon: method, id, name, uri and arguments.
 */

type Members = readonly (readonly [key: string, value: unknown])[];

/** Keeps the first of two equal keys (some C and Java readers). */
export function firstKeyReader(body: string): unknown {
  return subject(body, (members, key) => members.find(([name]) => name === key)?.[1]);
}

/** Takes keys without regard to case, the last one wins (Go's encoding/json, `ſ` and the Kelvin sign included). */
export function foldingReader(body: string): unknown {
  const fold = (key: string): string => key.toUpperCase().toLowerCase();
  return subject(body, (members, key) => members.findLast(([name]) => fold(name) === fold(key))?.[1]);
}

/** Ends keys and strings at a NUL, the last one wins (C strings). */
export function nulReader(body: string): unknown {
  const cut = (text: string): string => text.split('\0', 1)[0] ?? '';
  return subject(body, (members, key) => {
    const value = members.findLast(([name]) => cut(name) === key)?.[1];
    return typeof value === 'string' ? cut(value) : value;
  });
}

function subject(body: string, pick: (members: Members, key: string) => unknown): unknown {
  const envelope = parse(body);
  const params = pick(membersOf(envelope), 'params');
  const inner = membersOf(params);
  const argumentsOf = pick(inner, 'arguments');
  return {
    method: pick(membersOf(envelope), 'method'),
    id: pick(membersOf(envelope), 'id'),
    name: pick(inner, 'name'),
    uri: pick(inner, 'uri'),
    arguments: argumentsOf === undefined ? undefined : plain(argumentsOf),
  };
}

const MEMBERS = Symbol('members');

/** Keeps every member of an object, doubled ones too. */
function parse(text: string): unknown {
  let at = 0;
  const space = (): void => {
    while (' \n\r\t'.includes(text[at] ?? 'x')) at += 1;
  };
  const string = (): string => {
    const start = at;
    at += 1;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at += 1;
    return String(JSON.parse(text.slice(start, at)));
  };
  const value = (): unknown => {
    space();
    const first = text[at];
    if (first === '"') return string();
    if (first === '{' || first === '[') return container(first);
    const start = at;
    while (at < text.length && !',]} \n\r\t'.includes(text[at] ?? '')) at += 1;
    return JSON.parse(text.slice(start, at));
  };
  const container = (open: string): unknown => {
    const members: [string, unknown][] = [];
    const elements: unknown[] = [];
    at += 1;
    space();
    while (text[at] !== '}' && text[at] !== ']') {
      if (open === '{') {
        const key = string();
        space();
        at += 1;
        members.push([key, value()]);
      } else {
        elements.push(value());
      }
      space();
      if (text[at] === ',') at += 1;
      space();
    }
    at += 1;
    return open === '{' ? { [MEMBERS]: members } : elements;
  };
  return value();
}

function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null && MEMBERS in value ? (value[MEMBERS] as Members) : [];
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const object: Record<string, unknown> = {};
  for (const [key, member] of membersOf(value)) {
    Object.defineProperty(object, key, { value: plain(member), enumerable: true, configurable: true, writable: true });
  }
  return object;
}
