import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pauseImage } from '../images/pause.ts';
import { dns, metricsServer } from './addons.ts';
import { addresses } from './addresses.ts';
import { binaries } from './binaries.ts';
import type { BinaryName, Progress } from './binaries.ts';
import { saveArtifacts } from './artifacts.ts';
import { createCgroup, removeCgroup } from './cgroups.ts';
import { compact } from './compaction.ts';
import { Component } from './component.ts';
import type { Place } from './component.ts';
import { apiServer, controllerManager, createCredentials, etcd, etcdSocket, scheduler } from './control-plane.ts';
import type { Blueprint, Credentials } from './control-plane.ts';
import { claimInstance, removeInstance } from './instance.ts';
import type { Instance, InstanceState } from './instance.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { connectNetwork, disconnectNetwork, setCable } from './network.ts';
import { cgroupName, containerd, createNodeFolder, importImage, insideNode, kubelet, kubeProxy, nodeIsSetUp, nodeProcess } from './node.ts';
import { thisMachine } from './place.ts';
import { freePort } from './ports.ts';
import { ensurePrerequisites } from './prerequisites.ts';
import { tryRun } from './run.ts';
import type { RunResult } from './run.ts';
import { stopOnSignal } from './signals.ts';

export interface ClusterOptions {
  /** Name of cluster, node and kubeconfig context. Several clusters may have the same. Default `test`. */
  readonly name?: string;
  /** etcd and API server on a free loopback port: no pods, no root, about three seconds. */
  readonly controlPlaneOnly?: boolean;
  /** With `controlPlaneOnly`: also the controllers of Kubernetes (garbage collection, namespaces, ServiceAccounts). */
  readonly controllerManager?: boolean;
  /** Records every request in `auditLogPath`: user, verb, resource, one JSON object per line. */
  readonly audit?: boolean;
  /** Runs metrics-server, which HPAs on CPU and memory and `kubectl top` need. */
  readonly metricsServer?: boolean;
  /** Further flags of the API server. */
  readonly apiServerFlags?: readonly string[];
  /** The cluster outlives this process. */
  readonly detached?: boolean;
  readonly progress?: Progress;
}

/** A running cluster. Dispose of it, or call `stop`; unless it was started detached, it dies with this process in any case. */
export interface Cluster extends AsyncDisposable {
  readonly name: string;
  /** Unique on this machine. */
  readonly id: string;
  readonly folder: string;
  readonly logsFolder: string;
  readonly kubeconfigPath: string;
  readonly apiServerUrl: string;
  readonly caPem: string;
  /** Client certificate of a member of `system:masters`, in PEM. */
  readonly adminCertificate: { readonly certificate: string; readonly key: string };
  readonly auditLogPath: string | undefined;
  /** Present when the cluster has a node. */
  readonly node: ClusterNode | undefined;
  /** @throws Error when the cluster has no such component */
  component(name: string): Component;
  /** Loads a docker or OCI archive; returns the names of its images. @throws Error when the cluster has no node */
  loadImage(archive: string): Promise<string[]>;
  /** Runs a program of this machine in the network of the node, from where pods and Services are reached. */
  exec(command: readonly [string, ...string[]]): Promise<RunResult>;
  /** Copies logs of components and pods, and lists of pods and events, to a folder, for whoever looks into a failed test. */
  saveArtifacts(target: string): Promise<void>;
  /** Makes etcd forget old revisions. After a restart of the API server, old watches and lists cannot go on: 410. */
  compactEtcd(): Promise<void>;
  /** Ends everything at once and leaves nothing. May be called again. */
  stop(): Promise<void>;
}

export interface ClusterNode {
  readonly address: string;
  readonly podNetwork: string;
  readonly serviceNetwork: string;
  /** Process whose network namespace is the node's. */
  readonly pid: number;
  /** `down` cuts the node off from this machine and all other clusters; everything inside it goes on. */
  setCable(state: 'up' | 'down'): Promise<void>;
}

const CONTROL_PLANE = ['etcd', 'kube-apiserver'] as const;
const NODE = ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'coredns', 'pause'] as const;

/** Programs that a cluster with these options runs. */
function programsOf(options: ClusterOptions): BinaryName[] {
  return [
    ...CONTROL_PLANE,
    ...(options.controlPlaneOnly === true ? (options.controllerManager === true ? (['kube-controller-manager'] as const) : []) : NODE),
    ...(options.metricsServer === true ? (['metrics-server'] as const) : []),
  ];
}

/** Brings up a real cluster and returns when it is ready: the API server answers and, unless `controlPlaneOnly`, the node takes pods. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const withNode = options.controlPlaneOnly !== true;
  const { progress = () => undefined } = options;
  await ensurePrerequisites(programsOf(options), withNode, progress);
  const programs = (await binaries(programsOf(options), progress)) as Programs;
  const instance = await claimInstance(options.name ?? 'test', withNode, clearOutside);
  const forget = stopOnSignal(() => removeInstance(instance, clearOutside));
  const stop = (): Promise<void> => {
    forget();
    return removeInstance(instance, clearOutside);
  };
  const builder = new Builder(instance, options, programs);
  try {
    await (withNode ? builder.startNode() : builder.startControlPlane());
    const cluster = await builder.cluster(stop);
    if (options.detached === true) {
      instance.disown();
      forget();
    }
    return cluster;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Removes what a cluster with a node leaves outside its folder when its processes have ended. */
export async function clearOutside(state: InstanceState): Promise<void> {
  if (state.slot !== undefined) {
    await disconnectNetwork(state.slot);
    await removeCgroup(cgroupName(state));
  }
}

type Programs = Record<BinaryName, string>;

class Builder {
  readonly #instance: Instance;
  readonly #options: ClusterOptions;
  readonly #programs: Programs;
  readonly #components = new Map<string, Component>();
  #plan: Blueprint | undefined;
  #credentials: Credentials | undefined;
  #node: ClusterNode | undefined;

  constructor(instance: Instance, options: ClusterOptions, programs: Programs) {
    this.#instance = instance;
    this.#options = options;
    this.#programs = programs;
  }

  async startControlPlane(): Promise<void> {
    const network = { address: '127.0.0.1', port: await freePort(), serviceNetwork: '198.19.255.0/24', serviceAddress: '198.19.255.1' };
    const plan = await this.#blueprint(network, thisMachine(this.#options.detached !== true));
    const credentials = await this.#createCredentials(plan);
    await this.#startApiServer(plan, credentials);
    if (this.#options.controllerManager === true) {
      await (await controllerManager(plan, this.#programs['kube-controller-manager'], credentials)).start();
    }
  }

  async startNode(): Promise<void> {
    const { slot = 0 } = this.#instance.state;
    const { node: address, podNetwork, serviceNetwork, apiService } = addresses(slot);
    const network = { address, port: 6443, serviceNetwork, serviceAddress: apiService, podNetwork };
    const pid = await this.#startNodeProcess(network);
    this.#node = { address, podNetwork, serviceNetwork, pid, setCable: (state) => setCable(slot, state) };
    const plan = await this.#blueprint(network, insideNode(pid));
    const [credentials] = await Promise.all([this.#createCredentials(plan), connectNetwork(slot, pid), createCgroup(cgroupName(plan))]);
    await Promise.all([this.#startApiServer(plan, credentials), this.#startContainerd(plan, pid)]);
    const parts = await Promise.all([
      controllerManager(plan, this.#programs['kube-controller-manager'], credentials),
      scheduler(plan, this.#programs['kube-scheduler'], credentials),
      kubelet(plan, this.#programs.kubelet, credentials),
      kubeProxy(plan, this.#programs['kube-proxy'], credentials),
      dns(plan, this.#programs.coredns, credentials),
    ]);
    await Promise.all(parts.map((part) => part.start()));
    if (this.#options.metricsServer === true) {
      await (await metricsServer(plan, this.#programs['metrics-server'], credentials)).start();
    }
  }

  async cluster(stop: () => Promise<void>): Promise<Cluster> {
    const [plan, credentials, node] = [this.#plan, this.#credentials, this.#node];
    if (plan === undefined || credentials === undefined) {
      throw new Error('The cluster was not started');
    }
    const { server, authority, user } = credentials.admin;
    const { name, id, folder } = plan;
    return {
      name,
      id,
      folder,
      logsFolder: join(folder, 'logs'),
      kubeconfigPath: await writeKubeconfig(join(folder, 'kubeconfig'), { name, server, authority, user }),
      apiServerUrl: server,
      caPem: authority,
      adminCertificate: user,
      auditLogPath: plan.auditLogPath,
      node,
      component: (wanted) => this.#component(wanted),
      loadImage: (archive) =>
        node === undefined ? Promise.reject(new Error(`Cluster ${id} has no node to load images into`)) : importImage(node.pid, archive),
      exec: (command) => tryRun(node === undefined ? command : ['nsenter', `--net=/proc/${node.pid}/ns/net`, '--', ...command]),
      saveArtifacts: (target) => saveArtifacts(folder, credentials.admin, target),
      compactEtcd: () => compact(etcdSocket(plan)),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  }

  async #startNodeProcess(network: NetworkPart): Promise<number> {
    const { pause } = this.#programs;
    const plan = await this.#blueprint(network, thisMachine(false));
    await createNodeFolder(plan);
    const { command, place } = nodeProcess(plan, pause, this.#options.detached !== true);
    const first = new Component({
      name: 'node',
      command,
      place,
      logPath: join(plan.folder, 'logs', 'node.log'),
      ready: () => Promise.resolve(nodeIsSetUp(first.process?.pid ?? 0, pause)),
      onProcess: (name, identity) => this.#instance.addProcess(name, identity),
    });
    await first.start();
    return first.process?.pid ?? 0;
  }

  async #startApiServer(plan: Blueprint, credentials: Credentials): Promise<void> {
    await etcd(plan, this.#programs.etcd).start();
    await (await apiServer(plan, this.#programs['kube-apiserver'], credentials)).start();
  }

  async #startContainerd(plan: Blueprint, pid: number): Promise<void> {
    await (await containerd(plan, pid)).start();
    await importImage(pid, await pauseImage());
  }

  async #createCredentials(plan: Blueprint): Promise<Credentials> {
    this.#credentials = await createCredentials(plan);
    return this.#credentials;
  }

  async #blueprint(network: NetworkPart, place: Place): Promise<Blueprint> {
    const { folder, state } = this.#instance;
    const logs = join(folder, 'logs');
    await mkdir(logs, { recursive: true });
    this.#plan = {
      id: state.id,
      name: state.name,
      folder,
      ...network,
      apiServerFlags: this.#options.apiServerFlags ?? [],
      ...(this.#options.audit === true ? { auditLogPath: join(logs, 'audit.log') } : {}),
      component: (part) => {
        const component = new Component({
          ...part,
          place,
          logPath: join(logs, `${part.name}.log`),
          onProcess: (name, identity) => this.#instance.addProcess(name, identity),
        });
        this.#components.set(part.name, component);
        return component;
      },
    };
    return this.#plan;
  }

  #component(name: string): Component {
    const found = this.#components.get(name);
    if (found === undefined) {
      throw new Error(`Cluster ${this.#instance.state.id} has no component ${name}, only ${[...this.#components.keys()].join(', ')}`);
    }
    return found;
  }
}

type NetworkPart = Pick<Blueprint, 'address' | 'port' | 'serviceNetwork' | 'serviceAddress' | 'podNetwork'>;
