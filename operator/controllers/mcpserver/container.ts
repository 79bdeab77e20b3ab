import { MCP_PORT_NAME, SERVER_CONTAINER } from '../../../api/group.ts';
import type { MCPServer, MCPServerSpec } from '../../../api/mcpserver.ts';
import { serverPort } from '../../../api/transport.ts';
import type { Container, VolumeMount } from '../../kube/wire.ts';
import { adminProbe, waitUntilDrained } from './guard.ts';
import { type ChildSettings, hasGuard } from './input.ts';
import { PACKAGE_PROGRAM, runnerImage } from './package.ts';
import { securityContext } from './security.ts';
import { shimEnvironment, underShim } from './stdio.ts';

/** Requests that a Node or Python server needs at rest, and a limit that stops one that leaks. No CPU limit: it only slows calls down. */
export function resources({ resources: given }: MCPServerSpec): NonNullable<Container['resources']> {
  const limits: Record<string, string | number> = { memory: '512Mi', ...given?.limits };
  return {
    // Where a limit is given, Kubernetes makes it the request too; a default of ours could exceed it.
    requests: {
      ...(limits['cpu'] === undefined && { cpu: '50m' }),
      ...(given?.limits?.['memory'] === undefined && { memory: '64Mi' }),
      ...given?.requests,
    },
    limits,
    ...(given?.claims !== undefined && { claims: given.claims }),
  } as NonNullable<Container['resources']>;
}

type Probe = NonNullable<Container['startupProbe']>;

/** The container called `server`. */
export function serverContainer(server: MCPServer, settings: ChildSettings, mounts: readonly VolumeMount[]): Container {
  const { spec } = server;
  const port = serverPort(spec.transport);
  return {
    name: SERVER_CONTAINER,
    ...program(spec, settings),
    ...(port !== undefined && {
      ports: [{ name: hasGuard(server) ? UNGUARDED_PORT_NAME : MCP_PORT_NAME, containerPort: port, protocol: 'TCP' }],
    }),
    env: environment(spec),
    ...(spec.envFrom !== undefined && spec.envFrom.length > 0 && { envFrom: spec.envFrom }),
    resources: resources(spec),
    volumeMounts: mounts,
    ...(port !== undefined && probes(spec, port)),
    securityContext: securityContext(spec),
    // Kubernetes takes the endpoint away and signals the container at the same moment: without a guard that drains, a pause keeps calls from a pod
    // that has stopped listening.
    lifecycle: hasGuard(server) ? waitUntilDrained : { preStop: { sleep: { seconds: PAUSE_SECONDS } } },
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** The server's own port behind a guard. The Service finds the guard by the name `mcp`, so this one has another. */
const UNGUARDED_PORT_NAME = 'server';

/** How long it takes at most until every kube-proxy has learned that an endpoint is gone. */
const PAUSE_SECONDS = 5;

function program(spec: MCPServerSpec, settings: ChildSettings): Pick<Container, 'image' | 'imagePullPolicy' | 'command' | 'args'> {
  const { container, package: workload } = spec;
  if (workload !== undefined) {
    return {
      image: runnerImage(workload, settings),
      ...(workload.imagePullPolicy !== undefined && { imagePullPolicy: workload.imagePullPolicy }),
      command: started(spec, [PACKAGE_PROGRAM]),
      ...(workload.args !== undefined && workload.args.length > 0 && { args: workload.args }),
    };
  }
  if (container === undefined) throw new Error('a server without container and package has no pod of its own');
  const { image, imagePullPolicy, command = [], args = [] } = container;
  return {
    image,
    ...(imagePullPolicy !== undefined && { imagePullPolicy }),
    ...(command.length > 0 && { command: started(spec, command) }),
    ...(args.length > 0 && { args }),
  };
}

const started = ({ transport }: MCPServerSpec, command: readonly string[]): string[] =>
  transport.type === 'Stdio' ? underShim(command) : [...command];

/** The home directory of an image is rarely writable for user 65532; many programs want one that is. */
function environment(spec: MCPServerSpec): NonNullable<Container['env']> {
  const shim = spec.transport.type === 'Stdio' ? shimEnvironment(spec) : [];
  const given = [...(spec.env ?? []).filter(({ name }) => !shim.some((own) => own.name === name)), ...shim] as NonNullable<
    Container['env']
  >;
  return given.some(({ name }) => name === 'HOME') ? given : [{ name: 'HOME', value: '/tmp' }, ...given];
}

/** Beyond the drain: for the container to end after the signal. */
const SHUTDOWN_SECONDS = 15;

export const terminationGracePeriodSeconds = ({ rollout }: MCPServerSpec): number => rollout.drainSeconds + SHUTDOWN_SECONDS;

/** A package that compiles on its first start takes long; an image that does not listen after a minute never will. */
const STARTUP_SECONDS = { container: 60, package: 300 };
const STARTUP_PERIOD_SECONDS = 2;

function startupProbe({ probes: given, package: workload, transport }: MCPServerSpec, port: number): Probe {
  if (given?.startup !== undefined) return given.startup;
  const seconds = workload === undefined ? STARTUP_SECONDS.container : STARTUP_SECONDS.package;
  const rhythm = { periodSeconds: STARTUP_PERIOD_SECONDS, failureThreshold: seconds / STARTUP_PERIOD_SECONDS, timeoutSeconds: 1 };
  // The kubelet cannot reach what listens on 127.0.0.1 of the pod; the guard can.
  return transport.bind === 'Loopback' ? adminProbe('/upstream', rhythm) : { tcpSocket: { port }, successThreshold: 1, ...rhythm };
}

/**
 * How long a container has run, in seconds, when the kubelet has ended it because its startup probe never succeeded: at least and at most. `undefined` where a
 * length says nothing: no startup probe, one that gives up so soon that the container may have ended by itself, or another probe that ends it too.
 */
export function unstartedSeconds(spec: MCPServerSpec): readonly [least: number, most: number] | undefined {
  const port = serverPort(spec.transport);
  if (port === undefined || spec.probes?.liveness !== undefined) return undefined;
  const probe = startupProbe(spec, port);
  const { initialDelaySeconds = 0, periodSeconds = 10, failureThreshold = 3, timeoutSeconds = 1 } = probe;
  // Times in a pod's status are whole seconds.
  const least = initialDelaySeconds + periodSeconds * (failureThreshold - 1) - 1;
  if (least < LEAST_TELLING_SECONDS) return undefined;
  const grace = probe.terminationGracePeriodSeconds ?? terminationGracePeriodSeconds(spec);
  return [least, initialDelaySeconds + (periodSeconds + timeoutSeconds) * failureThreshold + grace + 1];
}

/** Who ends by itself does so sooner. */
const LEAST_TELLING_SECONDS = 5;

function probes(spec: MCPServerSpec, port: number): Pick<Container, 'startupProbe' | 'livenessProbe' | 'readinessProbe'> {
  const { probes: given = {}, guard } = spec;
  const tcpSocket = { port };
  // With a guard its readiness asks the server, too.
  const readiness = guard.enabled
    ? undefined
    : { tcpSocket, periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 1, successThreshold: 1 };
  const readinessProbe = given.readiness ?? readiness;
  return {
    startupProbe: startupProbe(spec, port),
    ...(readinessProbe !== undefined && { readinessProbe }),
    ...(given.liveness !== undefined && { livenessProbe: given.liveness }),
  };
}
