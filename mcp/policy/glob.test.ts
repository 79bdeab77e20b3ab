import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { type Dialect, GlobIndex, globMatcher } from './glob.ts';

const table: readonly [sentence: string, dialect: Dialect, glob: string, yes: readonly string[], no: readonly string[]][] = [
  ['a name without a star matches itself, by case', 'name', 'get_pod', ['get_pod'], ['get_pods', 'Get_pod', 'get_pod ', '']],
  ['a star in a name is any run', 'name', 'get_*', ['get_', 'get_pod', 'get_a/b'], ['get', 'xget_pod']],
  ['several stars in a name', 'name', 'a*b*c', ['abc', 'axbxc', 'abcbc'], ['ab', 'acb', 'abcx']],
  ['head and tail of a name must not overlap', 'name', 'aba*aba', ['abaaba', 'aba-aba'], ['aba', 'ababa']],
  ['a star alone is every name', 'name', '*', ['', 'x'], []],
  ['question marks, brackets and dots are literal', 'name', 'a?[b].', ['a?[b].'], ['axb.', 'a?bx']],
  ['a star in a path stays within a segment', 'path', 'file:///srv/*', ['file:///srv/', 'file:///srv/a'], ['file:///srv/a/b']],
  ['two stars cross segments', 'path', 'file:///srv/**', ['file:///srv/', 'file:///srv/a/b'], ['file:///srv', 'file:///srvx/a']],
  ['stars of both kinds in a path', 'path', '**/a/*.txt', ['x/a/b.txt', 'x/y/a/.txt'], ['x/a/b/c.txt', 'a/b.txt']],
  ['two stars alone are every path', 'path', '**', ['', 'a/b'], []],
  ['one star alone is one segment', 'path', '*', ['', 'a'], ['a/b']],
  ['characters outside the basic plane count as one', 'path', '*😀/**', ['a😀/', '😀/x'], ['a😀']],
];

describe('globs', () => {
  it.each(table)('%s', (_, dialect, glob, yes, no) => {
    const matches = globMatcher(glob, dialect);
    expect(yes.filter((text) => !matches(text))).toEqual([]);
    expect(no.filter(matches)).toEqual([]);
  });

  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 });
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 });

  it.each(['name', 'path'] as const)('match as the regular expression of their definition does (%s)', (dialect) => {
    const oracle = (glob: string) =>
      new RegExp(
        `^${glob.replace(/\*+|[^*]/gu, (token) => (token[0] !== '*' ? `\\u{${token.codePointAt(0)?.toString(16)}}` : dialect === 'name' || token.length > 1 ? '.*' : '[^/]*'))}$`,
        'su',
      );
    fc.assert(
      fc.property(globs, texts, (glob, text) => globMatcher(glob, dialect)(text) === oracle(glob).test(text)),
      { numRuns: 5000 },
    );
  });

  it.each(['name', 'path'] as const)('are found by the index exactly when they match (%s)', (dialect) => {
    fc.assert(
      fc.property(fc.array(globs, { maxLength: 12 }), texts, (list, text) => {
        const index = new GlobIndex(dialect);
        list.forEach((glob, number) => index.add(glob, number));
        expect(index.match(text)).toEqual(list.flatMap((glob, number) => (globMatcher(glob, dialect)(text) ? [number] : [])));
      }),
      { numRuns: 2000 },
    );
  });

  it('take time that grows with the text, not with its square or worse', () => {
    const matches = globMatcher(`${'*a'.repeat(60)}**b`, 'path');
    const started = process.hrtime.bigint();
    expect(matches('a'.repeat(8192))).toBe(false);
    // A backtracking matcher would need years; the bound only has to tell the two apart.
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(2000);
  });
});
