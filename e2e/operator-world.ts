import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { MCPServer, MCPServerSpecInput } from '../api/mcpserver.ts';
import { type Cluster, type ClusterOptions, startCluster } from './cluster/cluster.ts';
import { type AuditedRequest, AuditMark, isOperatorProcess } from './audit.ts';
import { kubectlFor } from './kubectl.ts';
import { inventoryDigest } from '../mcp/digest.ts';
import type { JsonObject } from '../mcp/jsonrpc.ts';
import type { ProbeResult } from '../mcp/probe.ts';
import { Client } from '../operator/kube/client.ts';
import type { Credentials } from '../operator/kube/credentials.ts';
import { isKubeError } from '../operator/kube/errors.ts';
import { kubeconfig } from '../operator/kube/kubeconfig.ts';
import { keyOf, type KubeObject, type ObjectName, type Resource } from '../operator/kube/object.ts';
import { ConfigMaps, Pods } from '../operator/kube/resources.ts';
import { Transport } from '../operator/kube/transport.ts';
import type { Pod } from '../operator/kube/wire.ts';
import { type Condition, conditionOf, timestamp } from '../operator/runtime/conditions.ts';
import { kstatusViolations } from '../operator/runtime/kstatus.ts';
import { logger } from '../operator/runtime/log.ts';
import { Manager } from '../operator/runtime/manager.ts';
import { addMCPServerController, type ControllerSettings } from '../operator/controllers/mcpserver/controller.ts';
import type { GuardPod } from '../operator/controllers/mcpserver/guardreports.ts';
import { MCPServers } from '../operator/controllers/mcpserver/stores.ts';

const ROOT = join(import.meta.dirname, '..');
const NAMESPACE = 'mcp-fleet-system';
const ACCOUNT = 'mcp-fleet-operator';
const CRD = 'mcpservers.mcp-fleet.dev';
const CRD_FILE = 'mcp-fleet.dev_mcpservers.yaml';

/** What a fake server answers, by name. */
export type Answers = Map<string, ProbeResult>;

export const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

export const verifiedBy = (...tools: readonly string[]): ProbeResult => ({
  outcome: 'Verified',
  message: 'it speaks MCP',
  server: { name: 'fake', version: '1.0.0', protocolVersions: ['2025-11-25'], era: 'Legacy', capabilities: ['tools'] },
  inventory: {
    tools: tools.map((name) => ({
      name,
      title: undefined,
      description: undefined,
      hints: { readOnly: true, destructive: undefined, idempotent: undefined, openWorld: undefined },
      digest: digestOf(name),
      definition: { name },
    })),
    digest: inventoryDigest(tools.map((name) => ({ name, digest: digestOf(name) }))),
    duplicates: [],
    warnings: [],
  },
});

export interface RunningOperator {
  readonly manager: Manager;
  stop(): Promise<void>;
}

/**
 * A real API server with Kubernetes' own controllers, the CRDs, and the rights that are shipped. There is no kubelet: `runPods` plays it. The operator
 * runs in this process as its ServiceAccount; servers answer what `answers` says.
 */
export class World implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly client: Client;
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  readonly answers: Answers = new Map();
  /** Servers whose guards keep what they have. */
  readonly stuck = new Set<string>();
  /** Issuers of which every guard has met tokens with unknown keys, and how many. */
  readonly unknownKeys: Record<string, number> = {};
  /** Digests by uid of the pod. */
  readonly #held = new Map<string, { readonly policyDigest: string; readonly keysDigest: string }>();
  readonly #admin: Transport;

  private constructor(cluster: Cluster, kubectl: World['kubectl'], admin: Transport) {
    this.cluster = cluster;
    this.kubectl = kubectl;
    this.#admin = admin;
    this.client = new Client(admin);
  }

  static async start(options: ClusterOptions = {}): Promise<World> {
    const cluster = await startCluster({ controlPlaneOnly: true, controllerManager: true, audit: true, ...options });
    const kubectl = await kubectlFor(cluster.kubeconfigPath);
    const transport = new Transport({ credentials: await kubeconfig({ path: cluster.kubeconfigPath }), userAgent: 'test' });
    const world = new World(cluster, kubectl, transport);
    await world.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }));
    for (const folder of ['crds', 'config/rbac', 'config/admission']) {
      for (const file of await readdir(join(ROOT, folder))) {
        if (file.endsWith('.yaml') && file !== 'kustomization.yaml') await world.apply(await readFile(join(ROOT, folder, file), 'utf8'));
      }
    }
    await vi.waitFor(() => world.client.list(MCPServers), { timeout: 20_000 });
    return world;
  }

  apply(manifest: string): Promise<string> {
    return this.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], manifest);
  }

  /** Starts an operator. Several may run one after the other, like restarts. */
  async operator(settings: Partial<ControllerSettings> = {}): Promise<RunningOperator> {
    const token = (await this.kubectl(['create', 'token', ACCOUNT, '-n', NAMESPACE, '--duration=2h'])).trim();
    const credentials: Credentials = {
      server: this.cluster.apiServerUrl,
      tls: { ca: this.cluster.caPem },
      namespace: NAMESPACE,
      authorization: () => Promise.resolve(`Bearer ${token}`),
      refused: () => {},
    };
    const transport = new Transport({ credentials, userAgent: 'mcp-fleet-operator/test' });
    const log = logger({ level: process.env['LOG_LEVEL'] === 'debug' ? 'debug' : 'error' });
    const manager = new Manager({ client: new Client(transport), log, namespaces: settings.namespaces ?? [] });
    addMCPServerController({
      manager,
      prober: async ({ metadata }) => this.answers.get(metadata.name) ?? verifiedBy('echo'),
      readGuard: (pod, page) => this.#guard(pod, page),
      // No metrics-server runs here, so every autoscaler misses its metrics from the start.
      metricsPatience: 0,
      settings: {
        clusterDomain: 'cluster.local',
        operatorNamespace: NAMESPACE,
        runnerImages: { npm: 'runner/node:1', pypi: 'runner/python:1' },
        registries: { npm: undefined, pypi: undefined },
        guardImage: { image: 'example.com/operator:1' },
        ambient: 'Allow',
        assignIDs: true,
        grantableClusterRoles: ['view'],
        secretRotation: false,
        privateIssuers: [],
        namespaces: [],
        workers: 16,
        verifications: 64,
        ...settings,
      },
      onVerifierError: (key, err) => log.error({ key, err }, 'verifier failed'),
      onIssuerError: (err) => log.error({ err }, 'issuers failed'),
    });
    await manager.start();
    return {
      manager,
      stop: async () => {
        await manager.stop();
        await transport.close();
      },
    };
  }

  /** A guard whose kubelet looks at volumes when the pod starts, and later only when the pod changes. */
  async #guard({ namespace, name, uid }: GuardPod, page: string): Promise<JsonObject> {
    if (page !== '/status') throw new Error(`nobody asks for ${page}`);
    const { metadata } = await this.client.get(Pods, { namespace, name });
    const server = metadata.labels?.['mcp-fleet.dev/server'] ?? '';
    const { data = {} } = await this.client.get(ConfigMaps, { namespace, name: `${server}-policy` });
    const newest = { policyDigest: digestOf(data['bundle.json'] ?? ''), keysDigest: digestOf(data['keys.json'] ?? '') };
    const annotation = metadata.annotations?.['mcp-fleet.dev/policy-digest'];
    const told = annotation?.startsWith(`${newest.policyDigest} ${newest.keysDigest}`) === true;
    if (!this.#held.has(uid) || (told && !this.stuck.has(server))) this.#held.set(uid, newest);
    return { ...this.#held.get(uid), rejections: [], unknownKeys: this.unknownKeys };
  }

  async namespace(name: string): Promise<string> {
    await this.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    return name;
  }

  /** Applies an MCPServer. */
  async server(namespace: string, name: string, spec: Partial<MCPServerSpecInput> = {}): Promise<void> {
    const source = 'package' in spec || 'remote' in spec || 'service' in spec ? {} : { container: { image: 'example.com/echo:1' } };
    await this.apply(
      JSON.stringify({
        apiVersion: 'mcp-fleet.dev/v1alpha1',
        kind: 'MCPServer',
        metadata: { name, namespace },
        spec: { ...source, ...spec },
      }),
    );
  }

  /** Has a server that admission would refuse today, as one that was stored before it did. */
  async storedBefore(namespace: string, name: string, spec: Partial<MCPServerSpecInput>): Promise<void> {
    const rules = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations';
    await this.kubectl(['patch', 'crd', CRD, '--type=json', '-p', JSON.stringify([{ op: 'remove', path: rules }])]);
    try {
      await until(() => this.server(namespace, name, spec));
    } finally {
      await this.apply(await readFile(join(ROOT, `crds/${CRD_FILE}`), 'utf8'));
    }
  }

  /** Plays the kubelet once: every pod of a namespace that is not ready becomes ready. */
  async runPods(namespace: string): Promise<void> {
    const { items } = await this.client.list(Pods, { namespace });
    await Promise.all(
      items
        .filter((pod) => pod.metadata.deletionTimestamp === undefined && !isRunning(pod))
        .map((pod) => this.podStatus(pod, runningStatus())),
    );
  }

  async podStatus(pod: Pod, status: object): Promise<void> {
    await this.client.mergePatch(Pods, pod.metadata, { status }, { subresource: 'status' }).catch((error: unknown) => {
      if (!isKubeError(error, 'NotFound')) throw error;
    });
  }

  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName): Promise<T> {
    return this.client.get(resource, name);
  }

  async find<T extends KubeObject>(resource: Resource<T>, name: ObjectName): Promise<T | undefined> {
    return this.client.get(resource, name).catch((error: unknown) => {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    });
  }

  async condition(namespace: string, name: string, type: string): Promise<Condition | undefined> {
    const { status } = await this.get(MCPServers, { namespace, name });
    return conditionOf(status?.conditions as readonly Condition[] | undefined, type);
  }

  /** Waits, playing the kubelet, until a server is Ready. */
  async ready(namespace: string, name: string): Promise<MCPServer & KubeObject> {
    return until(async () => {
      await this.runPods(namespace);
      const server = await this.get(MCPServers, { namespace, name });
      const ready = conditionOf(server.status?.conditions as readonly Condition[] | undefined, 'Ready');
      const violations = kstatusViolations(server);
      if (ready?.status !== 'True' || violations.length > 0)
        throw new Error(`${keyOf(server.metadata)}: ${JSON.stringify(ready)} ${violations.join('; ')}`);
      return server;
    });
  }

  /** Requests of the operator that changed something since a time, from the audit log, events too. What was refused changed nothing. */
  async writes(since: Date): Promise<AuditedRequest[]> {
    return (await this.audit()).filter(({ verb, at, code }) => at >= since && code < 300 && !['get', 'list', 'watch'].includes(verb));
  }

  /** Every request of the operator, and its watches that are still open. */
  audit(): Promise<AuditedRequest[]> {
    return AuditMark.start(this.cluster.auditLogPath ?? '').requests(isOperatorProcess, { open: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#admin.close();
    await this.cluster.stop();
  }
}

/** Repeats until it does not throw, at most 30 s. */
export const until = <T>(attempt: () => Promise<T> | T, timeout = 30_000): Promise<T> => vi.waitFor(attempt, { timeout, interval: 50 });

const isRunning = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;

export const runningStatus = (now = new Date()) => ({
  phase: 'Running',
  podIP: '10.0.0.1',
  conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: timestamp(now),
  })),
  containerStatuses: [
    {
      name: 'server',
      ready: true,
      started: true,
      restartCount: 0,
      image: 'example.com/echo:1',
      imageID: '',
      state: { running: { startedAt: timestamp(now) } },
    },
  ],
});
