import type { MCPServer, MCPServerSpec } from '../../../api/mcpserver.ts';
import { isReadOnly, type Mount } from '../../../api/mount.ts';
import type { Volume, VolumeMount } from '../../kube/wire.ts';
import type { MountedSource } from './crash.ts';
import { shortHash } from './names.ts';

/** A volume with the mounts that the server's container gets of it. */
export interface MountedVolume {
  readonly volume: Volume;
  readonly mounts: readonly VolumeMount[];
}

/** Where client libraries of Kubernetes look for their credentials. */
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_VOLUME = 'kubernetes-access';
const TMP_VOLUME = 'tmp';
/** Where a package is installed. Nothing in usual images lives there. */
export const PACKAGE_PATH = '/opt/mcp-package';
export const PACKAGE_VOLUME = 'package';

/** Volumes of a server, in the order of the spec after the operator's own. */
export function mountedVolumes(server: MCPServer): MountedVolume[] {
  const mounts = server.spec.mounts ?? [];
  return [
    ...(mounts.some(({ mountPath }) => mountPath === '/tmp') ? [] : [tmp]),
    ...(server.spec.package === undefined ? [] : [packageVolume]),
    ...(server.spec.kubernetesAccess === undefined ? [] : [token(server.spec.kubernetesAccess)]),
    ...mounts.map(userVolume),
  ];
}

/** The root file system is read-only, and hardly a program does without a place for temporary files. */
const tmp: MountedVolume = {
  volume: { name: TMP_VOLUME, emptyDir: { sizeLimit: '64Mi' } },
  mounts: [{ name: TMP_VOLUME, mountPath: '/tmp' }],
};

/** The installer alone writes it. It lives as long as the pod, so a container that restarts downloads nothing. */
const packageVolume: MountedVolume = {
  volume: { name: PACKAGE_VOLUME, emptyDir: { sizeLimit: '2Gi' } },
  mounts: [{ name: PACKAGE_VOLUME, mountPath: PACKAGE_PATH, readOnly: true }],
};

/**
 * The three files that the ServiceAccount admission plugin would mount into every container, for the server's alone: a token that expires and is
 * renewed, the CA of the API server, and the namespace.
 */
function token({ tokenExpirationSeconds, audience }: NonNullable<MCPServerSpec['kubernetesAccess']>): MountedVolume {
  return {
    volume: {
      name: TOKEN_VOLUME,
      projected: {
        defaultMode: 0o444,
        sources: [
          {
            serviceAccountToken: {
              path: 'token',
              expirationSeconds: tokenExpirationSeconds,
              ...(audience !== undefined && audience !== '' && { audience }),
            },
          },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
        ],
      },
    },
    mounts: [{ name: TOKEN_VOLUME, mountPath: TOKEN_PATH, readOnly: true }],
  };
}

function userVolume(mount: Mount): MountedVolume {
  const { mountPath, subPath, subPathExpr, readOnly: _, ...source } = mount;
  const name = volumeName(mountPath);
  return {
    volume: { name, ...source } as Volume,
    mounts: [
      {
        name,
        mountPath,
        ...(subPath !== undefined && { subPath }),
        ...(subPathExpr !== undefined && { subPathExpr }),
        ...(isReadOnly(mount) && { readOnly: true }),
      },
    ],
  };
}

/** What the mounts of a spec are about, by the name of their volumes. */
export const mountedSources = (mounts: readonly Mount[] = []): ReadonlyMap<string, MountedSource> =>
  new Map(
    mounts.map(({ mountPath, secret, configMap }) => {
      const source = secret === undefined ? configMap && `ConfigMap ${configMap.name}` : `Secret ${secret.secretName}`;
      return [volumeName(mountPath), { path: mountPath, source }];
    }),
  );

/** By the path, so that another order of the mounts is no other pod. */
function volumeName(mountPath: string): string {
  const words = mountPath
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 40)
    .replace(/-$/, '');
  return `mount-${words === '' ? '' : `${words}-`}${shortHash(mountPath)}`;
}
