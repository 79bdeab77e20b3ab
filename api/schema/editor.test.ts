import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Kind } from './crd.ts';
import { editorSchema } from './editor.ts';
import { intOrString, saying } from './markers.ts';

const kind: Kind = {
  kind: 'Thing',
  plural: 'things',
  singular: 'thing',
  shortNames: ['th'],
  description: 'A thing.',
  spec: z.object({
    name: z.string().regex(/^a$/).meta(saying('must be a')),
    size: z
      .union([z.int(), z.string().regex(/^\d+$/)])
      .meta(intOrString)
      .describe('Size.')
      .default(1),
    free: z.record(z.string(), z.unknown()).optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  status: z.object({}),
  columns: [],
};

test('an editor schema knows this kind alone', () => {
  expect(editorSchema(kind)).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    properties: { apiVersion: { const: 'mcp-fleet.dev/v1alpha1' }, kind: { const: 'Thing' } },
    additionalProperties: false,
  });
});

test('an editor schema has patterns with their words, unions, and no unknown fields where Kubernetes has none', () => {
  expect(editorSchema(kind).properties?.['spec']).toEqual({
    type: 'object',
    description: 'What is wanted.',
    required: ['name'],
    additionalProperties: false,
    properties: {
      name: { type: 'string', pattern: '^a$', patternErrorMessage: 'must be a' },
      size: { default: 1, description: 'Size.', anyOf: [{ type: 'integer' }, { type: 'string', pattern: '^\\d+$' }] },
      free: { type: 'object' },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
    },
  });
});
