import { z } from 'zod';

import { ObjectName } from '../schema/names.ts';
import { Quantity } from '../schema/quantity.ts';
import { ObjectFieldSelector, ResourceFieldSelector } from './environment.ts';

const Mode = z.int32().min(0).max(0o777);
const FilePath = z.string().min(1).max(1024);

const Items = z
  .array(
    z.object({
      key: z.string().min(1).max(253).describe('Key.'),
      path: FilePath.describe('File, relative to the mount.'),
      mode: Mode.optional().describe('Permissions. Default: defaultMode.'),
    }),
  )
  .max(64);

const items = Items.optional().describe('Keys to show as files. Default: all.');
const optional = z.boolean().optional().describe('Whether it may be missing. Default: false.');
const defaultMode = Mode.optional().describe('Permissions of files, decimal in JSON. Default: 0644.');

/** `core/v1.ConfigMapVolumeSource`. */
export const ConfigMapVolumeSource = z.object({ name: ObjectName.describe('Name of the ConfigMap.'), items, optional, defaultMode });

/** `core/v1.SecretVolumeSource`. */
export const SecretVolumeSource = z.object({ secretName: ObjectName.describe('Name of the Secret.'), items, optional, defaultMode });

/** `core/v1.EmptyDirVolumeSource`. */
export const EmptyDirVolumeSource = z.object({
  medium: z.string().max(63).optional().describe('Memory: in memory, counted as such. Default: the disk of the node.'),
  sizeLimit: Quantity.optional().describe('Size beyond which the pod is evicted. Default: none.'),
});

/** `core/v1.PersistentVolumeClaimVolumeSource`, without `readOnly`: the mount says it. */
export const PersistentVolumeClaimVolumeSource = z.object({ claimName: ObjectName.describe('Name of the PersistentVolumeClaim.') });

/** `core/v1.ImageVolumeSource`. */
export const ImageVolumeSource = z.object({
  reference: z.string().min(1).max(1024).describe('Image whose files are mounted.'),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional().describe('Default: Always for the tag latest, else IfNotPresent.'),
});

/** `core/v1.VolumeProjection`; its two rarest members are opaque. */
const VolumeProjection = z.object({
  configMap: z
    .object({ name: ObjectName.describe('Name of the ConfigMap.'), items, optional })
    .optional()
    .describe('Keys of a ConfigMap.'),
  secret: z
    .object({ name: ObjectName.describe('Name of the Secret.'), items, optional })
    .optional()
    .describe('Keys of a Secret.'),
  downwardAPI: z
    .object({
      items: z
        .array(
          z.object({
            path: FilePath.describe('File.'),
            fieldRef: ObjectFieldSelector.optional().describe('A field of the pod.'),
            resourceFieldRef: ResourceFieldSelector.optional().describe('A resource of a container.'),
            mode: Mode.optional().describe('Permissions. Default: defaultMode.'),
          }),
        )
        .max(64)
        .optional()
        .describe('Files. Default: none.'),
    })
    .optional()
    .describe('Fields of the pod.'),
  serviceAccountToken: z
    .object({
      path: FilePath.describe('File.'),
      audience: z.string().max(1024).optional().describe("Default: the API server's."),
      expirationSeconds: z.int().min(600).optional().describe('Default: 3600.'),
    })
    .optional()
    .describe("A token of the pod's ServiceAccount."),
  clusterTrustBundle: z.record(z.string(), z.unknown()).optional().describe('As in Kubernetes. Default: none.'),
  podCertificate: z.record(z.string(), z.unknown()).optional().describe('As in Kubernetes. Default: none.'),
});

/** `core/v1.ProjectedVolumeSource`. */
export const ProjectedVolumeSource = z.object({
  sources: z.array(VolumeProjection).max(32).optional().describe('What is put together. Default: nothing.'),
  defaultMode,
});
