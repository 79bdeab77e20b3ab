import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headerValue } from './header-value.ts';
import type { JsonObject } from './jsonrpc.ts';
import { paramHeaders } from './param-header.ts';

describe('arguments repeated as headers', () => {
  const region = { type: 'string', 'x-mcp-header': 'Region' };
  const cases: Record<string, { properties: JsonObject; args: JsonObject; headers: object }> = {
    'a string': { properties: { region }, args: { region: 'eu' }, headers: { 'mcp-param-region': 'eu' } },
    'an integer and a boolean': {
      properties: { n: { 'x-mcp-header': 'N' }, b: { 'x-mcp-header': 'B' } },
      args: { n: 3, b: false },
      headers: { 'mcp-param-n': '3', 'mcp-param-b': 'false' },
    },
    'a nested one': { properties: { a: { properties: { region } } }, args: { a: { region: 'eu' } }, headers: { 'mcp-param-region': 'eu' } },
    'not one that is absent or null': { properties: { region, n: { 'x-mcp-header': 'N' } }, args: { n: null }, headers: {} },
    'not a fraction, a list or an object': { properties: { region }, args: { region: 1.5 }, headers: {} },
    'not with a name that is no header name': { properties: { region: { 'x-mcp-header': 'a\r\nb' } }, args: { region: 'eu' }, headers: {} },
    'not one that only the prototype has': { properties: { toString: { 'x-mcp-header': 'X' } }, args: {}, headers: {} },
  };
  test.each(Object.entries(cases))('%s', (_, { properties, args, headers }) => {
    expect(paramHeaders({ type: 'object', properties }, args)).toEqual(headers);
  });
});

test('every value survives as a header of visible ASCII', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('', ' ', 'a b', '=?base64?YQ==?=', '=?BASE64??=')),
      (value) => {
        const header = headerValue(value);
        expect(header).toMatch(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/);
        const coded = /^=\?base64\?(.*)\?=$/.exec(header)?.[1];
        const decoded = coded === undefined ? header : Buffer.from(coded, 'base64').toString('utf8');
        expect(isDeepStrictEqual(decoded, value)).toBe(true);
      },
    ),
  );
});
