import { z } from 'zod';
import {
  ConfigMapVolumeSource,
  EmptyDirVolumeSource,
  ImageVolumeSource,
  PersistentVolumeClaimVolumeSource,
  ProjectedVolumeSource,
  SecretVolumeSource,
} from './kubernetes/volume.ts';
import { rules, saying } from './schema/markers.ts';
import type { Plain } from './schema/plain.ts';

/** Members of a mount that say where its files come from. */
const sources = {
  configMap: ConfigMapVolumeSource.optional().describe('Files from the keys of a ConfigMap.'),
  secret: SecretVolumeSource.optional().describe('Files from the keys of a Secret. The operator never reads it; the kubelet does.'),
  emptyDir: EmptyDirVolumeSource.optional().describe('An empty directory that lives as long as the pod.'),
  persistentVolumeClaim: PersistentVolumeClaimVolumeSource.optional().describe('A PersistentVolumeClaim of this namespace.'),
  projected: ProjectedVolumeSource.optional().describe('Several sources in one directory.'),
  image: ImageVolumeSource.optional().describe('Files of an OCI image (Kubernetes 1.35).'),
};

export type MountSource = keyof typeof sources;
export const MOUNT_SOURCES = Object.keys(sources) as readonly MountSource[];

const SubPath = z
  .string()
  .min(1)
  .max(1024)
  .meta(
    rules({
      rule: "!self.startsWith('/') && !('..' in self.split('/'))",
      message: 'must be a relative path without ..: it lies inside the volume',
    }),
  );

/** Volume and mount in one entry. */
export const Mount = z
  .object({
    mountPath: z
      .string()
      .max(512)
      .regex(/^\/[^:]*$/)
      .meta(saying('must be an absolute path without a colon'))
      .describe('Where it appears in the container.'),
    subPath: SubPath.optional().describe('Path inside the volume that is mounted. Default: its root.'),
    subPathExpr: SubPath.optional().describe('The same with $(NAME) of environment variables expanded. Default: not used.'),
    readOnly: z.boolean().optional().describe('Whether the server may only read. Default: true, but false for emptyDir.'),
    ...sources,
  })
  .meta(
    rules(
      {
        rule: `[${MOUNT_SOURCES.map((source) => `has(self.${source})`).join(', ')}].filter(x, x).size() == 1`,
        message: `set exactly one of ${MOUNT_SOURCES.slice(0, -1).join(', ')} and ${MOUNT_SOURCES.at(-1) ?? ''}`,
      },
      { rule: '!(has(self.subPath) && has(self.subPathExpr))', message: 'set subPath or subPathExpr, not both' },
      {
        rule: '!has(self.readOnly) || self.readOnly || has(self.emptyDir) || has(self.persistentVolumeClaim)',
        message: 'only emptyDir and persistentVolumeClaim can be written: remove readOnly',
        fieldPath: '.readOnly',
      },
    ),
  );
export type Mount = Plain<z.output<typeof Mount>>;

/** Whether the server may only read from a mount, its default applied. */
export const isReadOnly = ({ readOnly, emptyDir }: Mount): boolean => readOnly ?? emptyDir === undefined;
