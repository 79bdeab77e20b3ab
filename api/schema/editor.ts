import { GROUP, VERSION } from '../group.ts';
import { children, type Kind, objectSchema } from './crd.ts';
import type { Schema } from './structural.ts';

/**
 * JSON Schema (draft 7) of whole objects of a kind, as editors use it: completion, descriptions, and what a schema can check without
 * CEL. Unknown fields are an error there, as they are for `kubectl`.
 */
export function editorSchema(kind: Kind): Schema {
  const { properties, ...rest } = editable(objectSchema(kind));
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $id: `https://${GROUP}/schema/${VERSION}/${kind.singular}.json`,
    title: kind.kind,
    ...rest,
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    properties: {
      ...properties,
      apiVersion: { type: 'string', const: `${GROUP}/${VERSION}` },
      kind: { type: 'string', const: kind.kind },
      metadata: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 1 } } },
    },
  };
}

const INT_OR_STRING = 'x-kubernetes-int-or-string';
const PRESERVE = 'x-kubernetes-preserve-unknown-fields';

function editable(schema: Schema): Schema {
  const own = Object.entries(schema).filter(([key]) => !key.startsWith('x-kubernetes-') && key !== 'format' && key !== 'nullable');
  const result = children(Object.fromEntries(own), editable);
  if (schema[INT_OR_STRING] === true) {
    const { pattern, patternErrorMessage, ...rest } = result;
    const text = {
      type: 'string',
      ...(pattern !== undefined && { pattern }),
      ...(patternErrorMessage !== undefined && { patternErrorMessage }),
    };
    return { ...rest, anyOf: [{ type: 'integer' }, text] };
  }
  return 'properties' in result && schema[PRESERVE] !== true ? { ...result, additionalProperties: false } : result;
}
