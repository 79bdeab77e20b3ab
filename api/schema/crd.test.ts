import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { MCPSERVER } from '../kinds.ts';
import { crd, objectSchema } from './crd.ts';
import type { Kind } from './crd.ts';
import { intOrString, rules, saying } from './markers.ts';
import type { Schema } from './structural.ts';

const kind = (spec: z.ZodType): Kind => ({
  kind: 'Thing',
  plural: 'things',
  singular: 'thing',
  shortNames: ['th'],
  description: 'A thing.',
  spec,
  status: z.object({}),
  columns: [],
});

interface Version {
  readonly schema: {
    readonly openAPIV3Schema: { readonly properties: { readonly spec: { readonly properties: Record<string, Schema> } } };
  };
}

function fields(shape: Record<string, z.ZodType>): Record<string, Schema> {
  const { versions } = crd(kind(z.object(shape))).spec as { readonly versions: readonly [Version] };
  return versions[0].schema.openAPIV3Schema.properties.spec.properties;
}

describe('crd', () => {
  test('names the kind', () => {
    expect(crd(kind(z.object({})))).toMatchObject({
      metadata: { name: 'things.mcp-fleet.dev' },
      spec: { scope: 'Namespaced', names: { listKind: 'ThingList', categories: ['mcp'] }, versions: [{ served: true, storage: true }] },
    });
  });

  test('makes a rule of a pattern that has words, so that people read the words', () => {
    expect(
      fields({
        name: z
          .string()
          .regex(/^it's \d$/)
          .meta(saying('must be it')),
      }),
    ).toEqual({
      name: { type: 'string', 'x-kubernetes-validations': [{ rule: "self.matches('^it\\'s \\\\d$')", message: 'must be it' }] },
    });
  });

  test('keeps a pattern without words', () => {
    expect(fields({ name: z.string().regex(/^a$/).optional() })).toEqual({ name: { type: 'string', pattern: '^a$' } });
  });

  test('asks a number about no pattern', () => {
    const type = z.union([z.int(), z.string().regex(/^a$/)]).meta({ ...intOrString, ...saying('must be a'), ...rules({ rule: 'true' }) });
    expect(fields({ size: type })['size']?.['x-kubernetes-validations']).toEqual([
      { rule: "type(self) != string || self.matches('^a$')", message: 'must be a' },
      { rule: 'true' },
    ]);
  });
});

describe('the schema of an MCPServer', () => {
  const all = [...visit(objectSchema(MCPSERVER), '')];

  test('describes every field', () => {
    const silent = all.filter(([path, { description = '' }]) => !/[\]}]$/.test(path) && !description.endsWith('.'));
    expect(silent.map(([path]) => path).filter((path) => !path.startsWith('.metadata'))).toEqual([]);
  });

  test('says of every optional field of the spec what happens without it', () => {
    const parents = new Map(all);
    const isRequired = (path: string) => {
      const at = path.lastIndexOf('.');
      return parents.get(path.slice(0, at))?.required?.includes(path.slice(at + 1)) === true;
    };
    const ours = all.filter(
      ([path, { properties }]) =>
        path.startsWith('.spec.') && !path.includes('ffinity') && !/[\]}]$/.test(path) && properties === undefined,
    );
    const silent = ours.filter(([path, { description = '' }]) => !isRequired(path) && !/Default/.test(description));
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test('bounds every list and map of the spec, on which the cost of rules depends', () => {
    const unbounded = all.filter(([, { items, additionalProperties, maxItems, maxProperties }]) => {
      return (items !== undefined && maxItems === undefined) || (additionalProperties !== undefined && maxProperties === undefined);
    });
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  test('says of every rule what to do', () => {
    const mute = all.filter(([, schema]) => schema['x-kubernetes-validations']?.some(({ message = '' }) => message.length < 20));
    expect(mute.map(([path]) => path)).toEqual([]);
  });
});

/** All fields with their paths, those in lists and maps too. */
function* visit(schema: Schema, path: string): Generator<[string, Schema]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, property];
    yield* visit(property, `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* inner(schema.items, `${path}[]`);
  if (typeof schema.additionalProperties === 'object') yield* inner(schema.additionalProperties, `${path}{}`);
}

function* inner(schema: Schema, path: string): Generator<[string, Schema]> {
  if (schema.properties !== undefined) yield [path, schema];
  yield* visit(schema, path);
}
