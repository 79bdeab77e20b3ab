import { z } from 'zod';
import { KubernetesAccess, ServiceAccountSettings } from './access.ts';
import { Authentication } from './authentication.ts';
import { Exposure } from './exposure.ts';
import { API_VERSION } from './group.ts';
import { Guard, guardRules, PolicySettings, Session } from './guard.ts';
import { EnvFromSource, Environment } from './kubernetes/environment.ts';
import { Probe } from './kubernetes/probe.ts';
import { ResourceRequirements } from './kubernetes/resources.ts';
import { PodSecurityContext, SecurityContext } from './kubernetes/security.ts';
import { Mount } from './mount.ts';
import { Network } from './network.ts';
import type { ObjectMeta } from './object.ts';
import { Autoscaling, DisruptionBudget, MAX_REPLICAS, Rollout } from './scaling.ts';
import { Scheduling } from './scheduling.ts';
import { listMap, rules } from './schema/markers.ts';
import { Annotations, Labels, ObjectName } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';
import { MCPServerStatus } from './status.ts';
import { Stdio, Transport } from './transport.ts';
import { Telemetry, Verification } from './verification.ts';
import { ContainerWorkload, PackageWorkload, RemoteWorkload, ServiceWorkload, TunnelWorkload } from './workload.ts';

const once = (probe: 'startup' | 'liveness') => ({
  rule: `!has(self.${probe}) || !has(self.${probe}.successThreshold) || self.${probe}.successThreshold == 1`,
  message: `one success ends the failure of a ${probe} probe: remove successThreshold`,
  fieldPath: `.${probe}.successThreshold`,
});

const Probes = z
  .object({
    startup: Probe.optional().describe(
      'Until it succeeds the other probes wait. Default: TCP on the port, 60 s for containers, 5 min for packages.',
    ),
    liveness: Probe.optional().describe('When it fails the container is restarted. Default: none.'),
    readiness: Probe.optional().describe('While it fails the pod gets no calls. Default: TCP on the port.'),
  })
  .meta(
    rules(once('startup'), once('liveness'), {
      rule: '!has(self.readiness) || !has(self.readiness.terminationGracePeriodSeconds)',
      message: 'a readiness probe ends no container: remove terminationGracePeriodSeconds',
      fieldPath: '.readiness.terminationGracePeriodSeconds',
    }),
  );

const Opaque = z.record(z.string(), z.unknown()).meta({ 'x-kubernetes-preserve-unknown-fields': true });

const PodTemplate = z.object({
  metadata: Opaque.optional().describe('Labels and annotations. Default: none.'),
  spec: Opaque.optional().describe(
    "Members of a PodSpec, merged by Kubernetes' own list keys; the container of the server is called server. Default: none.",
  ),
});

/** Fields that say something about a container, which only `container` and `package` have. */
const OF_THE_SERVER_CONTAINER = ['env', 'envFrom', 'mounts', 'resources', 'probes', 'securityContext', 'kubernetesAccess'] as const;

export const MCPServerSpec = z
  .object({
    container: ContainerWorkload.optional().describe('Runs an image. Exactly one of container, package, remote and service.'),
    package: PackageWorkload.optional().describe(
      'Runs a published package in a runner image. Exactly one of container, package, remote and service.',
    ),
    remote: RemoteWorkload.optional().describe(
      'Puts the guard in front of a server that runs elsewhere. Exactly one of container, package, remote and service.',
    ),
    service: ServiceWorkload.optional().describe(
      'Puts the guard in front of a Service of this namespace. Exactly one of container, package, remote and service.',
    ),
    tunnel: TunnelWorkload.optional().describe('A server of another cluster. Set by the operator alone.'),
    transport: Transport.prefault({}).describe('How the server speaks MCP. Default: streamable HTTP on port 8080 at /mcp.'),
    stdio: Stdio.optional().describe('How a Stdio server is run. Default: one process for all callers.'),
    env: Environment.optional().describe('Environment variables. Default: none.'),
    envFrom: z
      .array(EnvFromSource)
      .max(64)
      .optional()
      .describe('Environment variables from all keys of ConfigMaps and Secrets. Default: none.'),
    mounts: z
      .array(Mount)
      .max(32)
      .meta(listMap('mountPath'))
      .optional()
      .describe('Volumes, each with its mount. Default: none but an emptyDir at /tmp.'),
    imagePullSecrets: z
      .array(z.object({ name: ObjectName.describe('Name of the Secret.') }))
      .max(16)
      .meta(listMap('name'))
      .optional()
      .describe("Secrets for pulling images. Default: the ServiceAccount's."),
    resources: ResourceRequirements.optional().describe(
      'Resources of the server. Default: requests of 50m CPU and 64Mi memory, a memory limit of 512Mi, no CPU limit; each given value wins.',
    ),
    probes: Probes.optional().describe('Probes that replace the defaults, one by one.'),
    replicas: z
      .int32()
      .min(0)
      .max(MAX_REPLICAS)
      .default(1)
      .describe('Pods; ignored while autoscaling is set. 0 stops the server (ScaledToZero). Default: 1.'),
    autoscaling: Autoscaling.optional().describe('Lets a HorizontalPodAutoscaler choose the number of pods. Default: replicas decides.'),
    suspend: z.boolean().default(false).describe('true: no pods, everything else stays. Default: false.'),
    disruptionBudget: DisruptionBudget.optional().describe(
      'How much a node drain may take at a time. Made only when two or more pods are guaranteed. Default: one pod.',
    ),
    rollout: Rollout.prefault({}).describe('How pods are replaced. Default: one by one, a new one first, running calls get 30 s.'),
    scheduling: Scheduling.optional().describe('Where pods run. Default: anywhere, spread softly.'),
    podSecurityContext: PodSecurityContext.optional().describe(
      'Security of the pod; each given field wins over the default. Default: user and groups 65532, not root, seccomp RuntimeDefault.',
    ),
    securityContext: SecurityContext.optional().describe(
      'Security of the container; each given field wins over the default. Default: read-only root file system, no capabilities, no privilege escalation.',
    ),
    podTemplate: PodTemplate.optional().describe(
      'Last resort: merged over the pod that the operator makes. What concerns guard, ports and selector labels is refused (ProtectedField). Default: nothing.',
    ),
    labels: Labels.optional().describe('Labels of the pods. Default: none beside ours.'),
    annotations: Annotations.optional().describe('Annotations of the pods. Default: none beside ours.'),
    serviceAccount: ServiceAccountSettings.optional().describe('ServiceAccount of the pods. Default: one of their own, without a token.'),
    kubernetesAccess: KubernetesAccess.optional().describe(
      'Rights in the API of this cluster and a token that expires, for the server container alone. Default: no token in the pod at all.',
    ),
    network: Network.prefault({}).describe(
      'Who may talk to the server and to whom it may talk. Default: a NetworkPolicy with callers from everywhere, the internet and DNS.',
    ),
    expose: Exposure.prefault({}).describe('How callers reach the server. Default: a ClusterIP Service on port 80.'),
    authentication: Authentication.prefault({}).describe('Who may call. Default: everybody, as anonymous.'),
    policy: PolicySettings.prefault({}).describe('How policies apply. Default: none is required.'),
    guard: Guard.prefault({}).describe('The proxy in front of the server. Default: on.'),
    session: Session.prefault({}).describe('Sessions. Default: as the server answers.'),
    verification: Verification.prefault({}).describe('How the server is verified by real MCP handshakes. Default: every 5 minutes.'),
    telemetry: Telemetry.prefault({}).describe('Metrics and traces. Default: no PodMonitor, nobody may scrape the guard, no traces.'),
  })
  .meta(
    rules(
      {
        rule: '[has(self.container), has(self.package), has(self.remote), has(self.service), has(self.tunnel)].filter(x, x).size() == 1',
        message: 'say what runs: set exactly one of container, package, remote and service',
      },
      {
        rule: "self.transport.type != 'Stdio' || !has(self.container) || (has(self.container.command) && self.container.command.size() > 0)",
        message: "with transport type Stdio set container.command: an image's entrypoint cannot be read from the API",
        fieldPath: '.container',
      },
      {
        rule: "self.transport.type != 'Stdio' || has(self.container) || has(self.package)",
        message: 'Stdio is for container and package alone: choose StreamableHTTP or SSE, as the server speaks',
        fieldPath: '.transport.type',
      },
      {
        rule: "!has(self.stdio) || self.transport.type == 'Stdio'",
        message: 'stdio belongs to transport type Stdio: set that or remove stdio',
        fieldPath: '.stdio',
      },
      {
        rule: '!has(self.remote) || !has(self.transport.port)',
        message: 'a remote server has its port in remote.url: remove transport.port',
        fieldPath: '.transport.port',
      },
      {
        rule: '!has(self.remote) || !has(self.transport.path)',
        message: 'a remote server has its path in remote.url: remove transport.path',
        fieldPath: '.transport.path',
      },
      {
        rule: '!has(self.service) || !has(self.transport.port)',
        message: 'the port of a service is service.port: remove transport.port',
        fieldPath: '.transport.port',
      },
      {
        rule: "self.transport.bind != 'Loopback' || has(self.container) || has(self.package)",
        message: 'only a container or package shares its loopback interface with the guard: remove transport.bind',
        fieldPath: '.transport.bind',
      },
      {
        rule: `has(self.container) || has(self.package) || !(${OF_THE_SERVER_CONTAINER.map((field) => `has(self.${field})`).join(' || ')})`,
        message: `remote and service run no container of the server: remove ${OF_THE_SERVER_CONTAINER.join(', ')}`,
      },
      ...guardRules,
    ),
  );

/** The spec as the API server stores it: defaults are filled in. */
export type MCPServerSpec = Plain<z.output<typeof MCPServerSpec>>;
/** The spec as a user writes it. */
export type MCPServerSpecInput = Plain<z.input<typeof MCPServerSpec>>;

export { MCPServerStatus };

export interface MCPServer {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'MCPServer';
  readonly metadata: ObjectMeta;
  readonly spec: MCPServerSpec;
  readonly status?: MCPServerStatus;
}
