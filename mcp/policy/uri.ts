import { globForm } from './glob.ts';

/** Longer URIs have no normal form here. */
const MAX_LENGTH = 8192;

const PARTS = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?(.*))?$/su;
const LEGAL = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/u;
const ESCAPE = /%([0-9A-F]{2})?/gu;
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http', ':80'],
  ['https', ':443'],
  ['ws', ':80'],
  ['wss', ':443'],
]);

/**
 * Whether every reader takes the URI for the same thing: RFC 3986 normal form (6.2.2, 6.2.3), and besides no escaped `/`, `\` or control character,
 * no empty path segment, no fragment, no query behind `file:`. What is not in this form could pass a rule that the server's reading would not.
 */
export function isNormalUri(uri: string): boolean {
  if (uri.length > MAX_LENGTH || !LEGAL.test(uri) || uri.includes('#')) return false;
  const [, scheme, authority, path = '', query] = PARTS.exec(uri) ?? [];
  if (scheme === undefined) return false;
  if (!escapesAreNormal(uri) || query === '') return false;
  if (scheme === 'file' && (authority !== '' || path === '' || query !== undefined)) return false;
  return isNormalAuthority(scheme, authority) && isNormalPath(scheme, path);
}

/** Upper-case escapes, and none for a character that needs none or that splits or ends a path in a lenient reader. */
function escapesAreNormal(uri: string): boolean {
  for (const [, hex] of uri.matchAll(ESCAPE)) {
    if (hex === undefined) return false;
    const code = Number.parseInt(hex, 16);
    if (code < 0x20 || code === 0x7f || /[A-Za-z0-9\-._~/\\]/u.test(String.fromCharCode(code))) return false;
  }
  return true;
}

function isNormalAuthority(scheme: string, authority: string | undefined): boolean {
  if (authority === undefined) return !DEFAULT_PORTS.has(scheme);
  const defaultPort = DEFAULT_PORTS.get(scheme);
  if (defaultPort !== undefined && (authority === '' || authority.endsWith(defaultPort))) return false;
  return !/[A-Z]/u.test(authority.replaceAll(ESCAPE, '')) && !/(:|\.|\.:\d*)$/u.test(authority);
}

function isNormalPath(scheme: string, path: string): boolean {
  if (path === '') return !DEFAULT_PORTS.has(scheme);
  if (path.includes('//')) return false;
  return !path.split('/').some((segment) => segment === '.' || segment === '..');
}

const EXPRESSION = /\{[^{}]*\}/gu;

/** Whether some expansion of a URI template (RFC 6570) can match the glob. Errs towards yes: an expression may become any text. */
export function templateCanMatch(glob: string, template: string): boolean {
  const expanded = template.replaceAll(EXPRESSION, '**');
  return intersects(tokens(glob), tokens(expanded));
}

/** Whether all expansions match. Errs towards no. */
export function templateAlwaysMatches(glob: string, template: string): boolean {
  const form = globForm(glob, 'path');
  const literal = template.slice(0, template.search(/\{|$/u));
  switch (form.kind) {
    case 'all':
      return true;
    case 'prefix':
      return literal.startsWith(form.literal);
    default:
      return literal === template && form.kind === 'exact' && form.literal === template;
  }
}

type Token = { readonly star: false; readonly character: string } | { readonly star: true; readonly crosses: boolean };

function tokens(glob: string): readonly Token[] {
  return (glob.match(/\*+|[^*]/gu) ?? []).map((token) =>
    token.startsWith('*') ? { star: true, crosses: token.length > 1 } : { star: false, character: token },
  );
}

/** Whether two globs have a text in common: a search over the pairs of positions that a common text could reach. */
function intersects(left: readonly Token[], right: readonly Token[]): boolean {
  const seen = new Set<number>();
  const pending: [number, number][] = [[0, 0]];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [i, j] = pair;
    if (i === left.length && j === right.length) return true;
    const key = i * (right.length + 1) + j;
    if (seen.has(key)) continue;
    seen.add(key);
    const a = left[i];
    const b = right[j];
    if (a?.star === true) pending.push([i + 1, j]);
    if (b?.star === true) pending.push([i, j + 1]);
    if (a === undefined || b === undefined) continue;
    if (!a.star && !b.star && a.character === b.character) pending.push([i + 1, j + 1]);
    else if (a.star && !b.star && (a.crosses || b.character !== '/')) pending.push([i, j + 1]);
    else if (!a.star && b.star && (b.crosses || a.character !== '/')) pending.push([i + 1, j]);
  }
  return false;
}
