import { describe, expect, it } from 'vitest';
import { compileTest } from './argument.ts';
import type { ArgumentTest } from './bundle.ts';

/** Whether the test holds in an Allow rule, and in a Deny rule. */
const holds = (test: ArgumentTest, args: unknown) => [compileTest(test, 'fails')(args), compileTest(test, 'passes')(args)];
const both = [true, true];
const neither = [false, false];
/** In doubt: no Allow, but Deny. */
const doubt = [false, true];

const path = '/a';
const table: readonly [sentence: string, test: ArgumentTest, args: unknown, expected: readonly boolean[]][] = [
  ['Exists holds for a present value', { path, operator: 'Exists' }, { a: 0 }, both],
  ['Exists holds for null', { path, operator: 'Exists' }, { a: null }, both],
  ['Exists fails for an absent path', { path, operator: 'Exists' }, {}, neither],
  ['Absent holds for an absent path', { path, operator: 'Absent' }, {}, both],
  ['Absent fails for null', { path, operator: 'Absent' }, { a: null }, neither],
  ['Equals compares strings', { path, operator: 'Equals', value: 'x' }, { a: 'x' }, both],
  ['Equals does not hold for another string', { path, operator: 'Equals', value: 'x' }, { a: 'y' }, neither],
  ['Equals compares numbers by value', { path, operator: 'Equals', value: 5 }, { a: 5.0 }, both],
  ['Equals compares booleans', { path, operator: 'Equals', value: true }, { a: true }, both],
  ['"5" is not 5: an Allow test fails, a Deny test is not evaded', { path, operator: 'Equals', value: 5 }, { a: '5' }, doubt],
  ['Equals on an absent path holds for nobody', { path, operator: 'Equals', value: 'x' }, {}, neither],
  ['Equals on null holds for nobody', { path, operator: 'Equals', value: 'x' }, { a: null }, neither],
  ['NotEquals holds for another value', { path, operator: 'NotEquals', value: 'x' }, { a: 'y' }, both],
  ['NotEquals fails for the value', { path, operator: 'NotEquals', value: 'x' }, { a: 'x' }, neither],
  ['NotEquals on an absent path holds only in a Deny rule', { path, operator: 'NotEquals', value: 'x' }, {}, doubt],
  ['NotEquals on null holds only in a Deny rule', { path, operator: 'NotEquals', value: 'x' }, { a: null }, doubt],
  ['NotEquals on another type holds only in a Deny rule', { path, operator: 'NotEquals', value: 'x' }, { a: ['x'] }, doubt],
  ['In holds for a listed value', { path, operator: 'In', values: ['x', 'y'] }, { a: 'y' }, both],
  ['In fails for an unlisted value', { path, operator: 'In', values: ['x'] }, { a: 'z' }, neither],
  ['In on a list around the value holds only in a Deny rule', { path, operator: 'In', values: ['x'] }, { a: ['x'] }, doubt],
  ['In on an absent path holds for nobody', { path, operator: 'In', values: ['x'] }, {}, neither],
  ['NotIn holds for an unlisted value', { path, operator: 'NotIn', values: ['x'] }, { a: 'z' }, both],
  ['NotIn on an absent path holds only in a Deny rule', { path, operator: 'NotIn', values: ['x'] }, {}, doubt],
  ['Prefix', { path, operator: 'Prefix', value: 'web-' }, { a: 'web-1' }, both],
  ['Prefix fails elsewhere', { path, operator: 'Prefix', value: 'web-' }, { a: 'aweb-1' }, neither],
  ['Glob stays within a segment', { path, operator: 'Glob', value: '/srv/*' }, { a: '/srv/a/b' }, neither],
  ['Glob with two stars crosses segments', { path, operator: 'Glob', value: '/srv/**' }, { a: '/srv/a/b' }, both],
  ['Matches searches unless anchored', { path, operator: 'Matches', value: 'b+' }, { a: 'abbc' }, both],
  ['Matches obeys anchors', { path, operator: 'Matches', value: '^b+$' }, { a: 'abbc' }, neither],
  ['Matches does not take a newline for the end', { path, operator: 'Matches', value: '^b$' }, { a: 'b\n' }, neither],
  ['SubsetOf holds when every element is listed', { path, operator: 'SubsetOf', values: ['x', 'y'] }, { a: ['y', 'x'] }, both],
  ['SubsetOf fails for a stranger', { path, operator: 'SubsetOf', values: ['x'] }, { a: ['x', 'z'] }, neither],
  ['an empty list may mean everything, so SubsetOf is in doubt', { path, operator: 'SubsetOf', values: ['x'] }, { a: [] }, doubt],
  ['SubsetOf on a string is in doubt', { path, operator: 'SubsetOf', values: ['x'] }, { a: 'x' }, doubt],
  ['GreaterThan is strict', { path, operator: 'GreaterThan', min: 5 }, { a: 5 }, neither],
  ['GreaterThan holds above', { path, operator: 'GreaterThan', min: 5 }, { a: 5.1 }, both],
  ['GreaterThan on "50" is in doubt: a lenient server would take it for 50', { path, operator: 'GreaterThan', min: 5 }, { a: '50' }, doubt],
  ['LessThan is strict', { path, operator: 'LessThan', max: 5 }, { a: 5 }, neither],
  ['Between has both ends', { path, operator: 'Between', min: 0, max: 300 }, { a: 300 }, both],
  ['Between fails outside', { path, operator: 'Between', min: 0, max: 300 }, { a: -1 }, neither],
  ['MaxLength counts characters, not code units', { path, operator: 'MaxLength', max: 2 }, { a: '😀😀' }, both],
  ['MaxLength counts elements', { path, operator: 'MaxLength', max: 1 }, { a: [1, 2] }, neither],
  ['a star tests every element: an Allow rule needs all', { path: '/l/*', operator: 'In', values: ['x'] }, { l: ['x', 'x'] }, both],
  ['a star tests every element: a Deny rule needs one', { path: '/l/*', operator: 'In', values: ['x'] }, { l: ['x', 'z'] }, doubt],
  ['a star over an empty list is an absent value', { path: '/l/*', operator: 'In', values: ['x'] }, { l: [] }, neither],
  ['a star over an empty list passes a negative test of a Deny rule', { path: '/l/*', operator: 'NotIn', values: ['x'] }, { l: [] }, doubt],
  [
    'a star goes through the values of an object',
    { path: '/o/*/ns', operator: 'Equals', value: 'x' },
    { o: { p: { ns: 'x' }, q: { ns: 'x' } } },
    both,
  ],
  ['an element without the member is absent there', { path: '/o/*/ns', operator: 'Equals', value: 'x' }, { o: [{ ns: 'x' }, {}] }, doubt],
  ['~1 and ~0 are / and ~', { path: '/a~1b~0c', operator: 'Equals', value: 1 }, { 'a/b~c': 1 }, both],
  ['list positions are numbers', { path: '/l/1', operator: 'Equals', value: 'y' }, { l: ['x', 'y'] }, both],
  ['list positions have no leading zero', { path: '/l/01', operator: 'Equals', value: 'y' }, { l: ['x', 'y'] }, neither],
  ['members of prototypes do not exist', { path: '/constructor/name', operator: 'Exists' }, {}, neither],
  [
    'a member called __proto__ is an ordinary one',
    { path: '/__proto__/x', operator: 'Equals', value: 1 },
    JSON.parse('{"__proto__": {"x": 1}}'),
    both,
  ],
  ['length of a list is no member', { path: '/l/length', operator: 'Exists' }, { l: [1] }, neither],
  ['arguments that are no object have no members', { path, operator: 'Exists' }, 'text', neither],
];

describe('an argument test', () => {
  it.each(table)('%s', (_, test, args, expected) => {
    expect(holds(test, args)).toEqual(expected);
  });

  const unjudgeable: readonly [sentence: string, test: ArgumentTest, args: unknown][] = [
    ['a number beyond 2^53, which servers may read differently', { path, operator: 'LessThan', max: 5 }, { a: 2 ** 60 }],
    ['an infinite number, from 1e400', { path, operator: 'GreaterThan', min: 5 }, JSON.parse('{"a": 1e400}')],
    ['a text too long for an expression', { path, operator: 'Matches', value: 'x' }, { a: 'y'.repeat(70_000) }],
    ['a text too long for a glob', { path, operator: 'Glob', value: '*x' }, { a: 'y'.repeat(70_000) }],
    ['more elements than may be visited', { path: '/l/*', operator: 'Exists' }, { l: Array.from({ length: 10_001 }) }],
  ];
  it.each(unjudgeable)('throws for %s', (_, test, args) => {
    expect(() => compileTest(test, 'fails')(args)).toThrow(RangeError);
    expect(() => compileTest(test, 'passes')(args)).toThrow(RangeError);
  });

  it('cannot be made of an expression that is not RE2', () => {
    expect(() => compileTest({ path, operator: 'Matches', value: '(?=x)' }, 'fails')).toThrow();
    expect(() => compileTest({ path: 'a', operator: 'Exists' }, 'fails')).toThrow(SyntaxError);
  });

  it('is not slowed down by an expression that would explode elsewhere', () => {
    const test = compileTest({ path, operator: 'Matches', value: '^(a+)+$' }, 'fails');
    expect(test({ a: `${'a'.repeat(50)}b` })).toBe(false);
  });
});
