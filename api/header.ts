import { z } from 'zod';
import { ConfigMapKeySelector, SecretKeySelector } from './kubernetes/environment.ts';
import { listMap, rules } from './schema/markers.ts';
import { HeaderName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

/** A header that is sent to a server, with a value given here or kept elsewhere. */
export const HTTPHeader = z
  .object({
    name: HeaderName.describe('Name of the header.'),
    value: z.string().max(8192).optional().describe('Value; visible to everybody who may read this object. Default: valueFrom.'),
    valueFrom: z
      .object({
        secretKeyRef: SecretKeySelector.optional().describe('A key of a Secret. Mounted where it is needed; the operator never reads it.'),
        configMapKeyRef: ConfigMapKeySelector.optional().describe('A key of a ConfigMap.'),
      })
      .meta(
        rules({
          rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
          message: 'set exactly one of secretKeyRef and configMapKeyRef',
        }),
      )
      .optional()
      .describe('Where the value comes from, instead of value.'),
  })
  .meta(rules({ rule: 'has(self.value) != has(self.valueFrom)', message: 'set exactly one of value and valueFrom' }));
export type HTTPHeader = Plain<z.output<typeof HTTPHeader>>;

export const HTTPHeaders = z.array(HTTPHeader).max(32).meta(listMap('name'));
