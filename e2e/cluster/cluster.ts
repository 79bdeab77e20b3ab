import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { binaries } from './binaries.ts';
import type { Progress } from './binaries.ts';
import { Component } from './component.ts';
import type { Place } from './component.ts';
import { apiServer, controllerManager, createCredentials, etcd } from './control-plane.ts';
import type { Blueprint } from './control-plane.ts';
import { claimInstance, removeInstance } from './instance.ts';
import type { Instance } from './instance.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { thisMachine } from './place.ts';

export interface ClusterOptions {
  /** Name of cluster, node and kubeconfig context. Several clusters may have the same. Default `test`. */
  readonly name?: string;
  /** etcd and API server on free loopback ports: no pods, no root, about three seconds. */
  readonly controlPlaneOnly?: boolean;
  /** With `controlPlaneOnly`: also the controllers of Kubernetes (garbage collection, namespaces, ServiceAccounts). */
  readonly controllerManager?: boolean;
  /** Records every request in `auditLogPath`: user, verb, resource, one JSON object per line. */
  readonly audit?: boolean;
  /** Further flags of the API server. */
  readonly apiServerFlags?: readonly string[];
  /** The cluster outlives this process. */
  readonly detached?: boolean;
  readonly progress?: Progress;
}

/** A running cluster. Dispose of it, or call `stop`; when this process dies it dies too. */
export interface Cluster extends AsyncDisposable {
  readonly name: string;
  /** Unique on this machine. */
  readonly id: string;
  readonly folder: string;
  readonly logsFolder: string;
  readonly kubeconfigPath: string;
  readonly apiServerUrl: string;
  readonly caPem: string;
  /** Client certificate of a member of `system:masters`. */
  readonly adminCertificate: { readonly certificate: string; readonly key: string };
  readonly auditLogPath: string | undefined;
  /** @throws Error when the cluster has no such component */
  component(name: string): Component;
  stop(): Promise<void>;
}

const nothingOutside = async (): Promise<void> => undefined;

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { name = 'test', progress = () => undefined } = options;
  const wanted = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;
  const programs = await binaries(wanted, progress);
  const instance = await claimInstance(name, false, nothingOutside);
  const components = new Map<string, Component>();
  const stop = (): Promise<void> => removeInstance(instance, nothingOutside);
  try {
    const plan = await blueprint(instance, options, thisMachine(options.detached !== true), components);
    const credentials = await createCredentials(plan);
    await etcd(plan, programs.etcd).start();
    await (await apiServer(plan, programs['kube-apiserver'], credentials)).start();
    if (options.controllerManager === true) {
      await (await controllerManager(plan, programs['kube-controller-manager'], credentials)).start();
    }
    const { server, authority, user } = credentials.admin;
    return {
      name,
      id: instance.state.id,
      folder: instance.folder,
      logsFolder: join(instance.folder, 'logs'),
      kubeconfigPath: await writeKubeconfig(join(instance.folder, 'kubeconfig'), { name, server, authority, user }),
      apiServerUrl: server,
      caPem: authority,
      adminCertificate: user,
      auditLogPath: plan.auditLogPath,
      component(wantedName) {
        const found = components.get(wantedName);
        if (found === undefined) {
          throw new Error(`Cluster ${instance.state.id} has no component ${wantedName}, only ${[...components.keys()].join(', ')}`);
        }
        return found;
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function blueprint(
  instance: Instance,
  options: ClusterOptions,
  place: Place,
  components: Map<string, Component>,
): Promise<Blueprint> {
  const { folder, state } = instance;
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  return {
    id: state.id,
    name: state.name,
    folder,
    address: '127.0.0.1',
    port: await freePort(),
    serviceNetwork: '198.19.255.0/24',
    serviceAddress: '198.19.255.1',
    apiServerFlags: options.apiServerFlags ?? [],
    ...(options.audit === true ? { auditLogPath: join(logs, 'audit.log') } : {}),
    component(part) {
      const component = new Component({
        ...part,
        place,
        logPath: join(logs, `${part.name}.log`),
        onProcess: (name, identity) => instance.addProcess(name, identity),
      });
      components.set(part.name, component);
      return component;
    },
  };
}

/**
 * A port of the loopback address that nobody listens on. Chosen at random below the range from which systems take ports for
 * outgoing connections, so that the port stays free between here and the API server's start, and while that restarts.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isFree(port)) {
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
