import { z } from 'zod';
import { listMap, mapAtomic, rules, saying } from '../schema/markers.ts';
import { DataKey, ObjectName } from '../schema/names.ts';
import { Quantity } from '../schema/quantity.ts';

const keySelector = (holder: 'ConfigMap' | 'Secret') =>
  z
    .object({
      name: ObjectName.describe(`Name of the ${holder} in this namespace.`),
      key: DataKey.describe(`Key in the ${holder}.`),
      optional: z.boolean().optional().describe(`Whether the ${holder} or its key may be missing. Default: false.`),
    })
    .meta(mapAtomic);

/** `core/v1.ConfigMapKeySelector`. */
export const ConfigMapKeySelector = keySelector('ConfigMap');
/** `core/v1.SecretKeySelector`. */
export const SecretKeySelector = keySelector('Secret');

/** `core/v1.ObjectFieldSelector`. */
export const ObjectFieldSelector = z
  .object({
    apiVersion: z.string().max(63).optional().describe('Version of the path. Default: v1.'),
    fieldPath: z.string().min(1).max(512).describe('Field of the pod, such as metadata.name or status.podIP.'),
  })
  .meta(mapAtomic);

/** `core/v1.ResourceFieldSelector`. */
export const ResourceFieldSelector = z
  .object({
    containerName: z.string().max(63).optional().describe('Container. Default: server.'),
    resource: z.string().min(1).max(128).describe('Such as limits.memory.'),
    divisor: Quantity.optional().describe('Unit of the answer. Default: 1.'),
  })
  .meta(mapAtomic);

const FileKeySelector = z
  .object({
    volumeName: z.string().min(1).max(63).describe('Volume that holds the file.'),
    path: z.string().min(1).max(1024).describe('Path in the volume, relative.'),
    key: z.string().min(1).max(128).describe('Key in the file.'),
    optional: z.boolean().optional().describe('Whether file or key may be missing. Default: false.'),
  })
  .meta(mapAtomic);

/** `core/v1.EnvVarSource`. */
export const EnvVarSource = z
  .object({
    configMapKeyRef: ConfigMapKeySelector.optional().describe('A key of a ConfigMap.'),
    secretKeyRef: SecretKeySelector.optional().describe('A key of a Secret. The operator never reads it; the kubelet does.'),
    fieldRef: ObjectFieldSelector.optional().describe('A field of the pod.'),
    resourceFieldRef: ResourceFieldSelector.optional().describe('A resource limit or request of a container.'),
    fileKeyRef: FileKeySelector.optional().describe('A key of an env file in a volume (Kubernetes 1.35, beta).'),
  })
  .meta(
    rules({
      rule: '[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef), has(self.resourceFieldRef), has(self.fileKeyRef)].filter(x, x).size() == 1',
      message: 'set exactly one of configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef and fileKeyRef',
    }),
  );

/** `core/v1.EnvVar`. */
export const EnvVar = z
  .object({
    name: z
      .string()
      .max(253)
      .regex(/^[ -<>-~]+$/)
      .meta(saying('must be the name of an environment variable: printable ASCII without ='))
      .describe('Name of the variable.'),
    value: z.string().max(32_768).optional().describe('Value; $(NAME) refers to a variable before it. Default: empty.'),
    valueFrom: EnvVarSource.optional().describe('Where the value comes from, instead of value.'),
  })
  .meta(
    rules({
      rule: "!(has(self.value) && self.value != '' && has(self.valueFrom))",
      message: 'set value or valueFrom, not both',
    }),
  );

/** `core/v1.LocalObjectReference` in its two roles below. */
const sourceOf = (holder: 'ConfigMap' | 'Secret') =>
  z
    .object({
      name: ObjectName.describe(`Name of the ${holder} in this namespace.`),
      optional: z.boolean().optional().describe(`Whether the ${holder} may be missing. Default: false.`),
    })
    .meta(mapAtomic);

/** `core/v1.EnvFromSource`. */
export const EnvFromSource = z
  .object({
    prefix: z.string().max(253).optional().describe('Put before each key. Default: nothing.'),
    configMapRef: sourceOf('ConfigMap').optional().describe('All keys of a ConfigMap.'),
    secretRef: sourceOf('Secret').optional().describe('All keys of a Secret.'),
  })
  .meta(rules({ rule: 'has(self.configMapRef) != has(self.secretRef)', message: 'set exactly one of configMapRef and secretRef' }));

export const Environment = z.array(EnvVar).max(256).meta(listMap('name'));
