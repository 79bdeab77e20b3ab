import type { z } from 'zod';
import { GROUP, VERSION } from '../group.ts';
import type { Rule } from './markers.ts';
import { type Schema, structuralSchema } from './structural.ts';

/** A column of `kubectl get`. Priority 1 shows it with `-o wide` alone. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly priority?: 0 | 1;
  readonly description?: string;
}

/** Everything that a CustomResourceDefinition says about a kind. */
export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly Column[];
  /** Paths of the scale subresource, for kinds that have one. */
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath: string };
  /** CEL over the whole object: its name, for example. */
  readonly rules?: readonly Rule[];
}

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The CustomResourceDefinition of a kind. Throws a SchemaError where a zod type has no structural form. */
export function crd(kind: Kind): CustomResourceDefinition {
  const { plural, singular, shortNames, columns, scale } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural, singular, shortNames, categories: ['mcp'] },
      scope: 'Namespaced',
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {}, ...(scale !== undefined && { scale }) },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: enforced(objectSchema(kind)) },
        },
      ],
    },
  };
}

/** The structural schema of whole objects of a kind. */
export function objectSchema({ kind, description, spec, status, rules }: Kind): Schema {
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `Version of the schema of this object: ${GROUP}/${VERSION}.` },
      kind: { type: 'string', description: `Kind of this object: ${kind}.` },
      // The bound is that of all names; said here, it lets the API server estimate what rules over the name cost.
      metadata: { type: 'object', properties: { name: { type: 'string', maxLength: 253 } } },
      spec: { ...structuralSchema(spec), description: 'What is wanted.' },
      status: { ...structuralSchema(status), description: 'What is. Written by the operator.' },
    },
    ...(rules !== undefined && { 'x-kubernetes-validations': rules }),
  };
}

/**
 * The schema as the API server gets it: a pattern that has a text of its own becomes a CEL rule, so that the user reads that text
 * and not a regular expression.
 */
function enforced(schema: Schema): Schema {
  const { pattern, patternErrorMessage, ...rest } = schema;
  if (pattern === undefined || patternErrorMessage === undefined) return children(schema, enforced);
  const test = `self.matches(${celString(pattern)})`;
  const rule = {
    rule: rest['x-kubernetes-int-or-string'] === true ? `type(self) != string || ${test}` : test,
    message: patternErrorMessage,
  };
  return { ...rest, 'x-kubernetes-validations': [rule, ...(rest['x-kubernetes-validations'] ?? [])] };
}

/** A schema with a function applied to the schemas directly below it. */
export function children(schema: Schema, map: (schema: Schema) => Schema): Schema {
  const { items, properties, additionalProperties } = schema;
  return {
    ...schema,
    ...(items !== undefined && { items: map(items) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, map(property)])),
    }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: map(additionalProperties) }),
  };
}

const celString = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
