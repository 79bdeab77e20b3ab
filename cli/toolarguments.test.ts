import { describe, expect, test } from 'vitest';
import type { Json } from '../mcp/jsonrpc.ts';
import { CommandError } from './exit.ts';
import { assignment, jsonArguments, toolArguments } from './toolarguments.ts';

const schema = {
  properties: {
    text: { type: 'string' },
    count: { type: 'integer' },
    flag: { type: 'boolean' },
    list: { type: 'array' },
    either: { type: ['string', 'null'] },
    any: { anyOf: [{ type: 'number' }, { type: 'null' }] },
    loose: { oneOf: [{ type: 'number' }, { type: 'string' }] },
    level: { enum: [1, 2] },
    free: {},
  },
};

const parsed = (words: readonly string[], inputSchema: Json | undefined = schema) => toolArguments(words.map(assignment), inputSchema);

describe('arguments', () => {
  const cases: Record<string, { words: string[]; args: object }> = {
    'stay strings where the schema allows them': {
      words: ['text=3', 'either=null', 'loose=1', 'free=true', 'unknown=1'],
      args: { text: '3', either: 'null', loose: '1', free: 'true', unknown: '1' },
    },
    'become what the schema wants otherwise': {
      words: ['count=3', 'flag=true', 'list=[1,"a"]', 'any=null', 'level=2'],
      args: { count: 3, flag: true, list: [1, 'a'], any: null, level: 2 },
    },
    'are JSON after :=': { words: ['free:={"a":[1]}', 'text:="x"'], args: { free: { a: [1] }, text: 'x' } },
    'may be empty, have line breaks and equals signs': { words: ['text=', 'free=a=b:=c\n'], args: { text: '', free: 'a=b:=c\n' } },
    'may have any name': { words: ['__proto__=x', 'a:b=c'], args: JSON.parse('{"__proto__":"x","a:b":"c"}') as object },
  };
  test.each(Object.entries(cases))('%s', (_, { words, args }) => {
    expect(JSON.stringify(parsed(words))).toBe(JSON.stringify(args));
  });

  test('are strings where nothing is known of the tool', () => {
    expect(parsed(['count=3'], null)).toEqual({ count: '3' });
  });

  const refused: Record<string, { words: string[]; message: string }> = {
    'without a value': { words: ['text'], message: '"text" is no argument: write key=value' },
    'without a name': { words: ['=x'], message: 'is no argument' },
    'given twice': { words: ['text=1', 'text=2'], message: 'argument text is given twice' },
    'of the wrong type': { words: ['count=many'], message: 'argument count: "many" must be JSON here' },
  };
  test.each(Object.entries(refused))('%s are refused', (_, { words, message }) => {
    expect(() => parsed(words)).toThrow(CommandError);
    expect(() => parsed(words)).toThrow(message);
  });
});

describe('--json', () => {
  test('is an object', () => {
    expect(jsonArguments('--json', '{"a":1}')).toEqual({ a: 1 });
  });
  test.each(['[1]', '1', 'null', '{', ''])('%s is refused', (text) => {
    expect(() => jsonArguments('--json', text)).toThrow(CommandError);
  });
});
