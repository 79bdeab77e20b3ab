import { GUARD_CONTAINER, guardNames, GuardPort, MCP_PORT_NAME } from '../../../api/group.ts';
import type { MCPServer, MCPServerSpec } from '../../../api/mcpserver.ts';
import { milliseconds } from '../../../api/schema/duration.ts';
import { serverPath, serverPort } from '../../../api/transport.ts';
import type { Container, Volume, VolumeMount } from '../../kube/wire.ts';
import { type ChildSettings, runsElsewhere } from './input.ts';
import { serviceURL } from './service.ts';
import { maxProcesses, SHIM_SOCKET, SOCKET_MOUNT, SOCKET_VOLUME } from './stdio.ts';

/** Volumes of the guard begin with it. What they hold changes without a restart of the pod, so it counts for no digest. */
export const GUARD_VOLUME_PREFIX = 'guard-';

const RUN = { name: 'guard-run', mountPath: '/run/mcp-fleet' };
const POLICY = { name: 'guard-policy', mountPath: '/etc/mcp-fleet/policy' };
const SEALING_KEYS = { name: 'guard-keys', mountPath: '/etc/mcp-fleet/keys' };
const API_KEYS = { name: 'guard-api-keys', mountPath: '/etc/mcp-fleet/api-keys' };
const UPSTREAM_HEADERS = { name: 'guard-headers', mountPath: '/etc/mcp-fleet/headers' };
const VERIFICATION_HEADERS = { name: 'guard-verification', mountPath: '/etc/mcp-fleet/verification' };
const UPSTREAM_CA = { name: 'guard-ca', mountPath: '/etc/mcp-fleet/ca' };

/** Where the image of the guard, based on distroless Node, has its programs. */
const NODE = '/nodejs/bin/node';
const PROGRAM = '/app/guard.mjs';
/** Against the image's defaults: source maps take 9 MiB. */
const NODE_FLAGS = ['--no-enable-source-maps'];

/** How long endpoints of a pod that ends may still be used by kube-proxies that have not learned of it, seconds. */
const PAUSE_SECONDS = 5;

/** A sidecar in front of the server: started before it, stopped after it, and part of the pod's readiness. Alone where the server runs elsewhere. */
export function guardContainer(server: MCPServer, settings: ChildSettings): Container {
  const { spec } = server;
  const { image, pullPolicy } = settings.guardImage;
  return {
    name: GUARD_CONTAINER,
    image,
    ...(pullPolicy !== undefined && { imagePullPolicy: pullPolicy }),
    // A pod needs one regular container: where the server runs elsewhere it is the guard.
    ...(!runsElsewhere(server) && { restartPolicy: 'Always' }),
    args: [...NODE_FLAGS, PROGRAM, ...flags(server, settings)],
    env: [{ name: 'MCP_FLEET_GUARD_POD_ADDRESS', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } }],
    ports: [
      { name: MCP_PORT_NAME, containerPort: GuardPort.Data, protocol: 'TCP' },
      { name: 'admin', containerPort: GuardPort.Admin, protocol: 'TCP' },
      { name: 'metrics', containerPort: GuardPort.Metrics, protocol: 'TCP' },
    ],
    resources: { ...spec.guard.resources, requests: { cpu: '10m', memory: '48Mi', ...spec.guard.resources?.requests } },
    volumeMounts: guardVolumes(server).flatMap(({ mount }) => mount),
    // It waits for the server as well. No startup probe may: a sidecar starts before the server does.
    readinessProbe: adminProbe('/readyz', { periodSeconds: 2, failureThreshold: 3, timeoutSeconds: 2 }),
    livenessProbe: adminProbe('/healthz', { periodSeconds: 20, failureThreshold: 3, timeoutSeconds: 5 }),
    lifecycle: { preStop: { exec: { command: [NODE, PROGRAM, 'drain', `${RUN.mountPath}/guard.sock`, String(PAUSE_SECONDS)] } } },
    securityContext: GUARD_SECURITY,
    terminationMessagePolicy: 'FallbackToLogsOnError',
  } as Container;
}

/** Whatever the server's container is allowed. */
const GUARD_SECURITY: NonNullable<Container['securityContext']> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
};

function flags(server: MCPServer, settings: ChildSettings): string[] {
  const { spec } = server;
  const { transport, rollout, verification, stdio, telemetry } = spec;
  const given: Readonly<Record<string, string | number | undefined>> = {
    ...upstream(server, settings),
    transport: transport.type,
    ...(transport.type === 'Stdio' && { processes: stdio?.processes ?? 'Shared', 'max-processes': maxProcesses(spec) }),
    ...(runsElsewhere(server) && { readiness: 'Bundle' }),
    bundle: `${POLICY.mountPath}/bundle.json`,
    'sealing-keys': SEALING_KEYS.mountPath,
    ...(spec.authentication.apiKeys !== undefined && { 'api-keys': API_KEYS.mountPath }),
    ...(hasHeaders(spec.remote?.headers) && { 'upstream-headers': UPSTREAM_HEADERS.mountPath }),
    ...(hasHeaders(verification.headers) && { 'verification-headers': VERIFICATION_HEADERS.mountPath }),
    ...(spec.remote?.caBundle !== undefined && { 'upstream-ca': `${UPSTREAM_CA.mountPath}/${CA_FILE}` }),
    siblings: serviceURL(server, settings.clusterDomain),
    control: `${RUN.mountPath}/guard.sock`,
    'drain-seconds': rollout.drainSeconds,
    'verification-interval': milliseconds(verification.interval) / 1000,
    'verification-timeout': milliseconds(verification.timeout) / 1000,
    ...(hasTraces(spec) && { 'otlp-endpoint': telemetry.otlpEndpoint }),
  };
  return Object.entries(given).map(([name, value]) => `--${name}=${value}`);
}

/** Where the guard finds the server, and the name by which the server knows itself there. */
function upstream({ spec, metadata }: MCPServer, { clusterDomain }: ChildSettings): Readonly<Record<string, string>> {
  const { remote, service, transport } = spec;
  if (remote !== undefined) return { upstream: remote.url, 'upstream-host': new URL(remote.url).host };
  if (service !== undefined) {
    const host = `${service.name}.${metadata.namespace}.svc.${clusterDomain}:${service.port}`;
    return { upstream: `http://${host}${serverPath(transport)}`, 'upstream-host': host };
  }
  if (transport.type === 'Stdio') return { upstream: `unix:${SHIM_SOCKET}` };
  return { upstream: `http://127.0.0.1:${serverPort(transport)}${serverPath(transport)}` };
}

/** Whether the guard sends traces: an empty endpoint is as good as none. */
export function hasTraces<Spec extends Pick<MCPServerSpec, 'telemetry'>>(
  spec: Spec,
): spec is Spec & { telemetry: { otlpEndpoint: string } } {
  return (spec.telemetry.otlpEndpoint ?? '') !== '';
}

const CA_FILE = 'ca.crt';
type Headers = NonNullable<NonNullable<MCPServerSpec['remote']>['headers']>;
const hasHeaders = (headers: Headers | undefined): headers is Headers => headers !== undefined && headers.length > 0;

/** A volume of the pod and how the guard mounts it. */
interface GuardVolume {
  readonly volume: Volume;
  readonly mount: VolumeMount;
}

/** As directories: the kubelet replaces the files of a mounted directory, but never a single mounted file. */
export function guardVolumes({ metadata, spec }: MCPServer): GuardVolume[] {
  const names = guardNames(metadata.name);
  const { apiKeys } = spec.authentication;
  const caBundle = spec.remote?.caBundle?.configMapKeyRef;
  const read = (place: { name: string; mountPath: string }, source: Omit<Volume, 'name'>): GuardVolume => ({
    volume: { name: place.name, ...source },
    mount: { ...place, readOnly: true },
  });
  return [
    { volume: { name: RUN.name, emptyDir: { sizeLimit: '1Mi' } }, mount: RUN },
    read(POLICY, { configMap: { name: names.policy, defaultMode: 0o444 } }),
    read(SEALING_KEYS, { secret: { secretName: names.keys, defaultMode: 0o440 } }),
    ...(apiKeys === undefined ? [] : [read(API_KEYS, { secret: { secretName: apiKeys.secretName, defaultMode: 0o440 } })]),
    ...(hasHeaders(spec.remote?.headers) ? [read(UPSTREAM_HEADERS, headerFiles(spec.remote.headers, 'remote', names.policy))] : []),
    ...(hasHeaders(spec.verification.headers)
      ? [read(VERIFICATION_HEADERS, headerFiles(spec.verification.headers, 'verification', names.policy))]
      : []),
    ...(caBundle === undefined
      ? []
      : [read(UPSTREAM_CA, { configMap: { name: caBundle.name, items: [{ key: caBundle.key, path: CA_FILE }], defaultMode: 0o444 } })]),
    ...(spec.transport.type === 'Stdio' ? [{ volume: SOCKET_VOLUME, mount: SOCKET_MOUNT }] : []),
  ];
}

/** One file per header. What is no secret lies beside the bundle. */
function headerFiles(headers: Headers, use: HeaderUse, policy: string): Omit<Volume, 'name'> {
  const sources = headers.map(({ name, valueFrom }, index) => {
    const { secretKeyRef: secret, configMapKeyRef: configMap } = valueFrom ?? {};
    if (secret !== undefined) return { secret: { name: secret.name, items: [{ key: secret.key, path: name }] } };
    const { name: from, key } = configMap ?? { name: policy, key: headerKey(use, index) };
    return { configMap: { name: from, items: [{ key, path: name }] } };
  });
  return { projected: { defaultMode: 0o440, sources } };
}

type HeaderUse = 'remote' | 'verification';
const HEADER_PREFIX = 'header-';
const headerKey = (use: HeaderUse, index: number): string => `${HEADER_PREFIX}${use}-${index}`;

/** Data of the policy's ConfigMap beside the bundle: headers whose values stand in the spec. */
export function headerData({ remote, verification }: MCPServerSpec): Readonly<Record<string, string>> {
  const entries = (use: HeaderUse, headers: Headers | undefined = []) =>
    headers.flatMap(({ value }, index) => (value === undefined ? [] : [[headerKey(use, index), value] as const]));
  return Object.fromEntries([...entries('remote', remote?.headers), ...entries('verification', verification.headers)]);
}

/** The same, as a ConfigMap has it. */
export const headersIn = (data: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(data).filter(([key]) => key.startsWith(HEADER_PREFIX)));

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
