import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client as MCPClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { z } from 'zod';
import type { MCPServer, MCPServerSpecInput } from '../api/mcpserver.ts';
import { Client } from '../operator/kube/client.ts';
import { isKubeError } from '../operator/kube/errors.ts';
import { kubeconfig } from '../operator/kube/kubeconfig.ts';
import type { KubeObject, ObjectName, Resource } from '../operator/kube/object.ts';
import { Events, Namespaces, namespaced, Pods, Services } from '../operator/kube/resources.ts';
import { Transport } from '../operator/kube/transport.ts';
import type { Pod } from '../operator/kube/wire.ts';
import { kstatusViolations } from '../operator/runtime/kstatus.ts';
import type { Change } from './images/faulty/behaviour.ts';
import type { Seen } from './images/faulty/server.ts';
import { FAULTY_IMAGE } from './images/servers.ts';

export const MCPServers: Resource<MCPServer & KubeObject> = namespaced('mcp-fleet.dev/v1alpha1', 'MCPServer', 'mcpservers');

/** A condition to wait for: `reason` and `message` only where the test is about them. */
export interface Wanted {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: RegExp;
}

/** What the control port of the failing server takes. */
export type BehaviourChange = z.input<typeof Change>;

/** What a test needs of a cluster with an operator: a client with all rights, namespaces, and patience. */
export class Fleet implements AsyncDisposable {
  readonly client: Client;
  readonly #transport: Transport;
  readonly #namespaces: string[] = [];

  private constructor(transport: Transport) {
    this.#transport = transport;
    this.client = new Client(transport);
  }

  static async of(kubeconfigPath: string): Promise<Fleet> {
    return new Fleet(new Transport({ credentials: await kubeconfig({ path: kubeconfigPath }), userAgent: 'e2e' }));
  }

  /** A new namespace that enforces the `restricted` Pod Security Standard; removed with this object. */
  async namespace(labels: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = `test-${randomBytes(4).toString('hex')}`;
    await this.client.create(Namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted', ...labels } },
    });
    this.#namespaces.push(name);
    return name;
  }

  /** What `kubectl apply --server-side` does. */
  apply(namespace: string, name: string, spec: MCPServerSpecInput, metadata: Partial<KubeObject['metadata']> = {}): Promise<MCPServer> {
    const object = {
      apiVersion: 'mcp-fleet.dev/v1alpha1' as const,
      kind: 'MCPServer' as const,
      metadata: { ...metadata, name, namespace },
      spec,
    };
    return this.client.apply(MCPServers, object, { fieldManager: 'kubectl' });
  }

  /** The server once this condition is so at its newest generation. Rejects with all conditions after `seconds`. */
  async until(namespace: string, name: string, type: string, wanted: Wanted, seconds = 150): Promise<MCPServer> {
    const fits = (server: MCPServer): boolean => {
      const condition = server.status?.conditions?.find((one) => one.type === type);
      return (
        server.status?.observedGeneration === server.metadata.generation &&
        condition?.status === wanted.status &&
        (wanted.reason === undefined || condition.reason === wanted.reason) &&
        (wanted.message === undefined || wanted.message.test(condition.message))
      );
    };
    const server = await this.eventually(
      () => this.client.get(MCPServers, { namespace, name }),
      fits,
      seconds,
      ({ status }) =>
        `${name} is not ${type}=${wanted.status} ${wanted.reason ?? ''} ${wanted.message ?? ''}: ${JSON.stringify(status?.conditions, undefined, 1)}`,
    );
    const violations = kstatusViolations(server).filter((rule) => !isAboutRest(rule));
    if (violations.length > 0) throw new Error(`${name} breaks the rules of kstatus: ${violations.join('; ')}`);
    return server;
  }

  /** The server once it is Ready and nothing about it is under way. */
  async ready(namespace: string, name: string, seconds?: number): Promise<MCPServer> {
    await this.until(namespace, name, 'Ready', { status: 'True' }, seconds);
    return this.eventually(
      () => this.client.get(MCPServers, { namespace, name }),
      (server) => kstatusViolations(server).length === 0,
      seconds,
      (server) => kstatusViolations(server).join('; '),
    );
  }

  /** Reads until it fits. `describe` says after `seconds` what was seen last. */
  async eventually<T>(
    read: () => Promise<T>,
    fits: (value: T) => boolean,
    seconds = 60,
    describe: (value: T) => string = (value) => JSON.stringify(value),
  ): Promise<T> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      const value = await read();
      if (fits(value)) return value;
      if (performance.now() > end) throw new Error(`not so after ${seconds} s: ${describe(value)}`);
      await delay(100);
    }
  }

  /** `undefined` when there is none. */
  async find<T extends KubeObject>(resource: Resource<T>, name: ObjectName): Promise<T | undefined> {
    try {
      return await this.client.get(resource, name);
    } catch (error) {
      if (isKubeError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Pods of a server that are not on their way out. */
  async pods(namespace: string, server: string): Promise<Pod[]> {
    const { items } = await this.client.list(Pods, { namespace, labelSelector: `mcp-fleet.dev/server=${server}` });
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Changes how the failing servers in a server's pods behave, through their control ports. */
  async behave(namespace: string, server: string, change: BehaviourChange): Promise<void> {
    for (const { status } of await this.pods(namespace, server)) {
      const url = `http://${status?.podIP ?? ''}:9090/`;
      const answer = await fetch(url, { method: 'PUT', body: JSON.stringify(change), signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(`the failing server refused: ${await answer.text()}`);
    }
  }

  /** What the failing server in the one pod of a server has seen. */
  async seen(namespace: string, server: string): Promise<Seen> {
    const [pod] = await this.pods(namespace, server);
    const answer = await fetch(`http://${pod?.status?.podIP ?? ''}:9090/`, { signal: AbortSignal.timeout(10_000) });
    return ((await answer.json()) as { readonly seen: Seen }).seen;
  }

  /**
   * The text that a tool answers, called with the official client through the Service.
   *
   * Errors: also when the result says that it is one.
   */
  async call(namespace: string, server: string, tool: string, args: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return this.callAt(await this.url(namespace, server), tool, args);
  }

  /** The same at an address. */
  async callAt(url: URL, tool: string, args: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const client = await this.#connected(url);
    try {
      const { content, isError } = await client.callTool({ name: tool, arguments: { ...args } });
      const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
      if (isError === true) throw new Error(text);
      return text;
    } finally {
      await client.close();
    }
  }

  /** A Service that is new exists for callers once kube-proxy has heard of it: until then there is no way to its address. */
  async #connected(url: URL, patience = 20): Promise<MCPClient> {
    const client = new MCPClient({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    try {
      await client.connect(new StreamableHTTPClientTransport(url));
      return client;
    } catch (error) {
      if (patience === 0 || !causes(error).includes('ENETUNREACH')) throw error;
      await delay(500);
      return this.#connected(url, patience - 1);
    }
  }

  /** Where the Service of a server is reached from this machine. */
  async url(namespace: string, server: string): Promise<URL> {
    const { spec } = await this.client.get(Services, { namespace, name: server });
    return new URL(`http://${spec?.clusterIP ?? ''}:${spec?.ports?.[0]?.port ?? 80}/mcp`);
  }

  /** `Type Reason` of the events about one object, oldest first. */
  async events(namespace: string, name: string): Promise<string[]> {
    const { items } = await this.client.list(Events, { namespace });
    return items
      .filter(({ regarding }) => regarding?.name === name && regarding?.kind === 'MCPServer')
      .map(({ type, reason }) => `${type} ${reason}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#namespaces) await this.client.delete(Namespaces, { name }).catch(() => undefined);
    await this.#transport.close();
  }
}

/** Codes of an error and of all that led to it. The official client keeps causes in `data`. */
function causes(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [];
  const { code, data } = error as { readonly code?: unknown; readonly data?: { readonly cause?: unknown } };
  return [code, ...causes(error.cause), ...causes(data?.cause)];
}

/** A server may be Ready while its newest revision rolls out; not once that is done. */
const isAboutRest = (rule: string): boolean => rule === 'Ready and Reconciling are both True';

/** Where the operator itself verifies the server, and callers reach it without a guard. */
export const UNGUARDED = { guard: { enabled: false } } as const;

/** A server of the failing image that behaves well, unless `args` say otherwise. Replace what you need. */
export const faulty = (args: readonly string[] = [], more: Partial<MCPServerSpecInput> = {}): MCPServerSpecInput => ({
  container: { image: FAULTY_IMAGE, imagePullPolicy: 'IfNotPresent', args: [...args] },
  // A node of two cores has room for forty times the default request, and the suites have more pods than that.
  resources: { requests: { cpu: '10m' } },
  ...more,
});
