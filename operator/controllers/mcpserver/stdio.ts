import type { MCPServerSpec } from '../../../api/mcpserver.ts';
import type { Container, Volume, VolumeMount } from '../../kube/wire.ts';
import type { ChildSettings } from './input.ts';
import { securityContext } from './security.ts';

/** Where the shim lies in the server's container. Nothing in usual images lives there. */
export const SHIM_PATH = '/opt/mcp-stdio';
/** Where the socket lies, in the containers of server and guard. */
export const SOCKET_PATH = '/run/mcp-stdio';
export const SHIM_SOCKET = `${SOCKET_PATH}/stdio.sock`;

const SHIM_VOLUME: Volume = { name: 'guard-shim', emptyDir: { sizeLimit: '16Mi' } };
export const SOCKET_VOLUME: Volume = { name: 'guard-socket', emptyDir: { sizeLimit: '1Mi' } };
export const SOCKET_MOUNT: VolumeMount = { name: 'guard-socket', mountPath: SOCKET_PATH };

export const maxProcesses = ({ stdio }: MCPServerSpec): number => stdio?.maxProcesses ?? 32;

/** Copies the shim to where the server's container finds it: any image works, whatever it contains. */
export const shimInstaller = (spec: MCPServerSpec, { guardImage }: ChildSettings): Container => ({
  name: 'shim',
  image: guardImage.image,
  ...(guardImage.pullPolicy !== undefined && { imagePullPolicy: guardImage.pullPolicy }),
  command: ['/app/stdio-shim', 'install', SHIM_PATH],
  resources: { requests: { cpu: '10m', memory: '16Mi' } },
  volumeMounts: [{ name: SHIM_VOLUME.name, mountPath: SHIM_PATH }],
  securityContext: { ...securityContext(spec), readOnlyRootFilesystem: true, runAsNonRoot: true },
  terminationMessagePolicy: 'FallbackToLogsOnError',
});

/** What the server's container has for it: the shim, which it cannot replace, and the place of the socket. */
export const shimVolumes = {
  volumes: [SHIM_VOLUME],
  mounts: [{ name: SHIM_VOLUME.name, mountPath: SHIM_PATH, readOnly: true }, SOCKET_MOUNT],
};

/** The server's command, begun by the shim. */
export const underShim = (command: readonly string[]): string[] => [`${SHIM_PATH}/stdio-shim`, '--', ...command];

/** The guard lists the server over a connection of its own, and keeps one in reserve. */
const OWN_PROCESSES = 2;

export const shimEnvironment = (spec: MCPServerSpec) => [
  { name: 'STDIO_SHIM_SOCKET', value: SHIM_SOCKET },
  { name: 'STDIO_SHIM_MAX_PROCESSES', value: String(maxProcesses(spec) + OWN_PROCESSES) },
];
