import { GUARD_CONTAINER, GuardPort, MCP_PORT_NAME } from '../../../api/group.ts';
import type { MCPServer, MCPServerSpec } from '../../../api/mcpserver.ts';
import { milliseconds } from '../../../api/schema/duration.ts';
import { serverPath, serverPort } from '../../../api/transport.ts';
import type { Container, Volume } from '../../kube/wire.ts';
import type { ChildSettings } from './input.ts';
import { guardNames } from './names.ts';

/** Volumes of the guard begin with it. What they hold changes without a restart of the pod, so it counts for no digest. */
export const GUARD_VOLUME_PREFIX = 'guard-';

const RUN = { name: 'guard-run', mountPath: '/run/mcp-fleet' };
const POLICY = { name: 'guard-policy', mountPath: '/etc/mcp-fleet/policy' };
const SEALING_KEYS = { name: 'guard-keys', mountPath: '/etc/mcp-fleet/keys' };
const API_KEYS = { name: 'guard-api-keys', mountPath: '/etc/mcp-fleet/api-keys' };

/** Where the image of the guard, based on distroless Node, has its programs. */
const NODE = '/nodejs/bin/node';
const PROGRAM = '/app/guard.mjs';

/** How long endpoints of a pod that ends may still be used by kube-proxies that have not learned of it, seconds. */
const PAUSE_SECONDS = 5;

/** A sidecar in front of the server: started before it, stopped after it, and part of the pod's readiness. */
export function guardContainer({ spec, metadata }: MCPServer, settings: ChildSettings): Container {
  const { image, pullPolicy } = settings.guardImage;
  return {
    name: GUARD_CONTAINER,
    image,
    ...(pullPolicy !== undefined && { imagePullPolicy: pullPolicy }),
    restartPolicy: 'Always',
    args: [PROGRAM, ...flags(spec)],
    env: [{ name: 'MCP_FLEET_GUARD_POD_ADDRESS', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } }],
    ports: [
      { name: MCP_PORT_NAME, containerPort: GuardPort.Data, protocol: 'TCP' },
      { name: 'admin', containerPort: GuardPort.Admin, protocol: 'TCP' },
      { name: 'metrics', containerPort: GuardPort.Metrics, protocol: 'TCP' },
    ],
    resources: { ...spec.guard.resources, requests: { cpu: '10m', memory: '48Mi', ...spec.guard.resources?.requests } },
    volumeMounts: guardVolumes({ spec, metadata }).map(({ name }) => mountOf(name)),
    // It waits for the server as well. No startup probe may: a sidecar starts before the server does.
    readinessProbe: adminProbe('/readyz', { periodSeconds: 2, failureThreshold: 3, timeoutSeconds: 2 }),
    livenessProbe: adminProbe('/healthz', { periodSeconds: 20, failureThreshold: 3, timeoutSeconds: 5 }),
    lifecycle: { preStop: { exec: { command: [NODE, PROGRAM, 'drain', `${RUN.mountPath}/guard.sock`, String(PAUSE_SECONDS)] } } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
  } as Container;
}

function flags(spec: MCPServerSpec): string[] {
  const { transport, rollout, verification } = spec;
  const given: Readonly<Record<string, string | number>> = {
    upstream: `http://127.0.0.1:${serverPort(transport)}${serverPath(transport)}`,
    transport: transport.type,
    bundle: `${POLICY.mountPath}/bundle.json`,
    'sealing-keys': SEALING_KEYS.mountPath,
    ...(spec.authentication.apiKeys !== undefined && { 'api-keys': API_KEYS.mountPath }),
    control: `${RUN.mountPath}/guard.sock`,
    'drain-seconds': rollout.drainSeconds,
    'verification-interval': milliseconds(verification.interval) / 1000,
    'verification-timeout': milliseconds(verification.timeout) / 1000,
    ...(spec.telemetry.otlpEndpoint !== undefined &&
      spec.telemetry.otlpEndpoint !== '' && { 'otlp-endpoint': spec.telemetry.otlpEndpoint }),
  };
  return Object.entries(given).map(([name, value]) => `--${name}=${value}`);
}

/** As directories: the kubelet replaces the files of a mounted directory, but never a single mounted file. */
export function guardVolumes({ metadata, spec }: Pick<MCPServer, 'metadata' | 'spec'>): Volume[] {
  const names = guardNames(metadata.name);
  const { apiKeys } = spec.authentication;
  return [
    { name: RUN.name, emptyDir: { sizeLimit: '1Mi' } },
    { name: POLICY.name, configMap: { name: names.policy, defaultMode: 0o444 } },
    { name: SEALING_KEYS.name, secret: { secretName: names.keys, defaultMode: 0o440 } },
    ...(apiKeys === undefined ? [] : [{ name: API_KEYS.name, secret: { secretName: apiKeys.secretName, defaultMode: 0o440 } }]),
  ];
}

function mountOf(volume: string): { name: string; mountPath: string; readOnly?: true } {
  if (volume === RUN.name) return { ...RUN };
  const mount = [POLICY, SEALING_KEYS, API_KEYS].find(({ name }) => name === volume);
  if (mount === undefined) throw new Error(`no mount of volume ${volume}`);
  return { ...mount, readOnly: true };
}

interface Rhythm {
  readonly periodSeconds: number;
  readonly failureThreshold: number;
  readonly timeoutSeconds: number;
}

/** A probe of the guard's admin port. */
export const adminProbe = (path: string, rhythm: Rhythm): NonNullable<Container['readinessProbe']> => ({
  httpGet: { path, port: GuardPort.Admin, scheme: 'HTTP' },
  successThreshold: 1,
  ...rhythm,
});

/** Kubernetes signals the server first and its sidecar last, and calls all preStop hooks at once: the server must outlive the calls that the guard still has. */
export const waitUntilDrained: NonNullable<Container['lifecycle']> = {
  preStop: { httpGet: { path: '/drained', port: GuardPort.Admin, scheme: 'HTTP' } },
};
