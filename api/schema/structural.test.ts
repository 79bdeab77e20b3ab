import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { intOrString, listMap, rules, saying } from './markers.ts';
import { SchemaError, structuralSchema } from './structural.ts';
import type { Schema } from './structural.ts';

const TRANSLATED: Record<string, [type: z.ZodType, schema: Schema]> = {
  'int32 with its bounds, which the server enforces': [
    z.int32(),
    { type: 'integer', format: 'int32', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  ],
  'int with the bounds of a JavaScript number': [
    z.int(),
    { type: 'integer', format: 'int64', minimum: -(2 ** 53 - 1), maximum: 2 ** 53 - 1 },
  ],
  'bounds of its own': [z.int32().min(1).max(9), { type: 'integer', format: 'int32', minimum: 1, maximum: 9 }],
  'a literal as an enum of one': [z.literal('x'), { type: 'string', enum: ['x'] }],
  'a nullable': [z.string().nullable(), { type: 'string', nullable: true }],
  'a default makes a field optional': [
    z.object({ port: z.int32().min(1).max(9999).default(8080) }),
    { type: 'object', properties: { port: { type: 'integer', format: 'int32', minimum: 1, maximum: 9999, default: 8080 } } },
  ],
  'a prefault with the defaults inside, since rules see it before they are filled in': [
    z.object({ probe: z.object({ enabled: z.boolean().default(true) }).prefault({}) }),
    {
      type: 'object',
      properties: { probe: { type: 'object', default: { enabled: true }, properties: { enabled: { type: 'boolean', default: true } } } },
    },
  ],
  'a record': [z.record(z.string(), z.string()), { type: 'object', additionalProperties: { type: 'string' } }],
  'a record of anything': [z.record(z.string(), z.unknown()), { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }],
  'a strict object like any other': [
    z.strictObject({ a: z.string() }),
    { type: 'object', required: ['a'], properties: { a: { type: 'string' } } },
  ],
  'a date without its pattern': [z.iso.datetime({ offset: true }), { type: 'string', format: 'date-time' }],
  'a prefix without the format of zod': [z.string().startsWith('/'), { type: 'string', pattern: '^\\/.*' }],
  'an address with its format': [z.ipv4(), expect.objectContaining({ type: 'string', format: 'ipv4' })],
  'an unknown value': [z.unknown().describe('any'), { description: 'any', 'x-kubernetes-preserve-unknown-fields': true }],
  'int-or-string': [z.union([z.int(), z.string().regex(/^\d+%$/)]).meta(intOrString), { ...intOrString, pattern: '^\\d+%$' }],
  'what a pattern asks for, in words': [
    z.string().regex(/^a$/).meta(saying('must be a')),
    { type: 'string', pattern: '^a$', patternErrorMessage: 'must be a' },
  ],
  'list keys and rules': [
    z
      .array(z.object({ name: z.string() }).meta(rules({ rule: 'self.name != ""', message: 'x' })))
      .max(3)
      .meta(listMap('name')),
    {
      type: 'array',
      maxItems: 3,
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' } },
        'x-kubernetes-validations': [{ rule: 'self.name != ""', message: 'x' }],
      },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
  ],
  'a description of its own over that of its type': [
    z.string().describe('a').optional().describe('b'),
    { type: 'string', description: 'b' },
  ],
};

const REFUSED: Record<string, z.ZodType> = {
  'a discriminated union': z.discriminatedUnion('type', [z.object({ type: z.literal('a') }), z.object({ type: z.literal('b') })]),
  'a union that is not int-or-string': z.union([z.string(), z.boolean()]),
  'int-or-string of something else': z.union([z.string(), z.boolean()]).meta(intOrString),
  'int-or-string or a third': z.union([z.int(), z.string(), z.boolean()]).meta(intOrString),
  'int-or-string with a bound': z.union([z.int().min(1), z.string()]).meta(intOrString),
  'a URL': z.url(),
  'a loose object': z.looseObject({ a: z.string() }),
  'a tuple': z.tuple([z.string(), z.int()]),
  'an intersection': z.intersection(z.object({ a: z.string() }), z.object({ b: z.string() })),
  'a transform': z.string().transform((text) => text.length),
  'a refinement': z.string().refine((text) => text > 'a'),
  'a refinement of an object': z.object({ a: z.string() }).superRefine(() => {}),
  'a date in UTC only': z.iso.datetime(),
  'a trim': z.string().trim(),
  'a catch': z.string().catch('x'),
  'a readonly': z.string().readonly(),
  'two patterns': z.string().regex(/^a/).regex(/b$/),
  'a flag': z.string().regex(/^a$/i),
  'a look-ahead': z.string().regex(/^a(?=b)/),
  'a look-behind': z.string().regex(/(?<!a)b/),
  'a back-reference': z.string().regex(/(a)\1/),
  'a shared definition': z.object({ a: z.string().meta({ id: 'Shared' }) }),
  'a deprecated field': z.string().meta({ deprecated: true }),
  'words for a pattern that is not there': z.string().meta(saying('must be a')),
  'keys of a record that have a pattern': z.record(z.string().regex(/^a/), z.string()),
};

describe('structuralSchema translates', () => {
  test.each(Object.entries(TRANSLATED))('%s', (_sentence, [type, schema]) => {
    expect(structuralSchema(type)).toEqual(schema);
  });
});

describe('structuralSchema refuses', () => {
  test.each(Object.entries(REFUSED))('%s', (_sentence, type) => {
    expect(() => structuralSchema(type)).toThrow(SchemaError);
  });

  test('recursion', () => {
    const Tree = z.object({
      get children() {
        return z.array(Tree).optional();
      },
    });
    expect(() => structuralSchema(Tree)).toThrow(/[Cc]ycle/);
  });

  test('with the path of what is wrong', () => {
    expect(() => structuralSchema(z.object({ spec: z.object({ size: z.string().trim() }) }))).toThrow(/spec.*size.*trim/);
  });
});
