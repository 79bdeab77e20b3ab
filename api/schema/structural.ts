import { z } from 'zod';
import type { Rule } from './markers.ts';

/** JSON Schema as a CRD holds it, with the one keyword of `saying` besides. */
export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly [keyword: string]: unknown;
}

/** A zod type that a structural schema cannot say, or cannot say in full. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  constructor(path: Path, problem: string) {
    super(`${path.length === 0 ? 'the root' : path.join('.')}: ${problem}`);
  }
}

type Path = readonly (string | number)[];

/**
 * The structural schema of a zod type.
 *
 * Guarantees: what the API server would enforce differently from zod is refused, never dropped.
 * Caveats: the API server has the last word on CEL syntax and cost, and on list maps (keys must be required or have a default).
 */
export function structuralSchema(type: z.ZodType): Schema {
  const draft = z.toJSONSchema(type, {
    target: 'openapi-3.0', // `nullable`, boolean `exclusiveMinimum`, `enum` instead of `const`
    io: 'input', //           a field with a default is optional
    unrepresentable: 'throw',
    cycles: 'throw',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema, path }) => {
      refuseWhatIsLost(zodSchema._zod.def, path);
      // The API server evaluates CEL on a default as it is written, before it fills in the defaults inside it.
      if (zodSchema._zod.def.type === 'prefault') jsonSchema.default = z.parse(zodSchema, undefined);
    },
  });
  return structural(draft as Schema, []);
}

/** Types that `toJSONSchema` accepts but says only in part, or in constructs that are not structural. */
const REFUSED = {
  pipe: 'a transform or pipe does not run in the API server',
  catch: 'the API server cannot replace an invalid value',
  readonly: '`readOnly` is not allowed in a CRD',
  tuple: 'a list has one item schema',
  intersection: 'write one object',
} as const;

/** Checks that leave no trace in the schema. */
const LOST_CHECKS = {
  custom: 'a refinement does not run in the API server: write a CEL rule',
  overwrite: 'trim and case changes do not run in the API server',
} as const;

interface Check {
  readonly _zod: { readonly def: { readonly check: string; readonly pattern?: RegExp } };
}

/** What this file reads of a zod definition. The last three are those of `z.iso.datetime()`. */
interface Definition {
  readonly type: string;
  readonly keyType?: { readonly _zod: { readonly def: { readonly type: string; readonly checks?: readonly unknown[] } } };
  readonly checks?: unknown;
  readonly offset?: unknown;
  readonly local?: unknown;
  readonly precision?: unknown;
}

function refuseWhatIsLost(def: Definition, path: Path): void {
  if (isKey(REFUSED, def.type)) throw new SchemaError(path, REFUSED[def.type]);
  if (def.keyType !== undefined && (def.keyType._zod.def.type !== 'string' || def.keyType._zod.def.checks !== undefined)) {
    throw new SchemaError(path, 'the keys of a map are not checked: write z.string() and a CEL rule');
  }
  if ('offset' in def && (def.offset !== true || def.local === true || def.precision !== null)) {
    throw new SchemaError(path, 'the API server takes every RFC 3339 time: write z.iso.datetime({ offset: true })');
  }
  for (const {
    _zod: {
      def: { check, pattern },
    },
  } of (def.checks ?? []) as readonly Check[]) {
    if (isKey(LOST_CHECKS, check)) throw new SchemaError(path, LOST_CHECKS[check]);
    if (pattern !== undefined) refuseUnlessRE2(pattern, path);
  }
}

/** The API server matches with RE2, without flags. */
function refuseUnlessRE2({ source, flags }: RegExp, path: Path): void {
  if (flags.replace(/[uv]/, '') !== '') throw new SchemaError(path, `the flags of /${source}/${flags} are lost`);
  if (/\(\?<?[=!]|\\[1-9k]/.test(source)) {
    throw new SchemaError(path, `/${source}/ needs look-around or a back-reference, which RE2 lacks`);
  }
}

/** Keywords that mean the same to zod and to the API server. The last is ours, see `saying`. */
const COPIED = new Set(
  [
    'type format title description default nullable enum required pattern patternErrorMessage',
    'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf',
    'minLength maxLength minItems maxItems minProperties maxProperties',
  ].flatMap((line) => line.split(' ')),
);

/** The formats of JSON Schema that the API server checks and zod writes. */
const FORMATS = new Set(['date', 'date-time', 'email', 'ipv4', 'ipv6', 'uuid']);

const PRESERVED: Schema = { 'x-kubernetes-preserve-unknown-fields': true };

function structural(draft: Schema, path: Path): Schema {
  if (draft['x-kubernetes-int-or-string'] === true) return intOrString(draft, path);
  if (isFree(draft)) return { ...draft, ...PRESERVED };

  const schema: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(draft)) {
    if (COPIED.has(key) || key.startsWith('x-kubernetes-')) schema[key] = value;
    else if (key === 'items') schema[key] = structural(value as Schema, [...path, key]);
    else if (key === 'properties') {
      schema[key] = mapValues(value as Record<string, Schema>, (property, name) => structural(property, [...path, name]));
    } else if (key === 'additionalProperties') {
      if (value === false) continue; // structural schemas prune by themselves
      if ('properties' in draft) throw new SchemaError(path, 'named and free properties exclude each other');
      if (isFree(value as Schema)) Object.assign(schema, PRESERVED);
      else schema[key] = structural(value as Schema, [...path, key]);
    } else {
      throw new SchemaError(
        path,
        `\`${key}\` is not allowed in a structural schema${isUnion(key) ? ': write optional members and a CEL rule' : ''}`,
      );
    }
  }
  if (schema['type'] === 'integer') schema['format'] = Number(schema['maximum']) < 2 ** 31 ? 'int32' : 'int64'; // says it, but only the bounds bind
  if (schema['format'] === 'uri') throw new SchemaError(path, 'the API server takes `/x` for a URI: write a string with a pattern');
  if (schema['format'] === 'date-time') delete schema['pattern']; // the format says it, and the server checks it
  if (schema['pattern'] !== undefined && !FORMATS.has(String(schema['format']))) delete schema['format']; // `starts_with`: zod's own
  if (schema['patternErrorMessage'] !== undefined && schema['pattern'] === undefined)
    throw new SchemaError(path, '`saying` explains a pattern that is not there');
  return schema;
}

const isUnion = (key: string): boolean => key === 'oneOf' || key === 'anyOf';

/** `z.unknown()` and `z.any()`: nothing but what `.meta` and `.describe` added. */
const isFree = (draft: Schema): boolean =>
  Object.keys(draft).every((key) => key === 'description' || key === 'default' || key === 'nullable' || key.startsWith('x-kubernetes-'));

/** The one `anyOf` that is legal. A pattern binds the string alone, as in a `Quantity`. */
function intOrString({ anyOf, ...rest }: Schema, path: Path): Schema {
  const [number = {}, { pattern, ...text } = {}, ...more] = (anyOf ?? []) as Schema[];
  const unbounded = -Number(number['minimum']) >= 2 ** 31 - 1 && Number(number['maximum']) >= 2 ** 31 - 1;
  if (number['type'] !== 'integer' || !unbounded || text['type'] !== 'string' || Object.keys(text).length > 1 || more.length > 0) {
    throw new SchemaError(path, 'int-or-string is z.union([z.int(), z.string()]); only the string may have a pattern');
  }
  return { ...rest, ...(pattern !== undefined && { pattern }) };
}

const isKey = <T extends object>(table: T, key: string): key is keyof T & string => Object.hasOwn(table, key);

const mapValues = <T, U>(object: Record<string, T>, map: (value: T, key: string) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));
