import { createReadStream, existsSync, readlinkSync, realpathSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { PAUSE_IMAGE } from '../images/pause.ts';
import { answers, callApi } from './api-server.ts';
import type { ApiAccess } from './api-server.ts';
import type { Component, Place } from './component.ts';
import { clientConfig, pkiFolder } from './control-plane.ts';
import type { Blueprint, Credentials } from './control-plane.ts';
import { writeKeyPair } from './pki.ts';
import { executable, thisMachine } from './place.ts';
import { run, tryRun } from './run.ts';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
const CNI_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'] as const;

/**
 * The first process of a node: it owns namespaces of processes, mounts and network, in which everything else of the cluster runs.
 *
 * Guarantees: when it ends, for whatever reason, the kernel ends all processes of the cluster, its pods included, and with them go
 * their mounts, their network and the files of /run. What stays is the folder of the cluster, its cgroups and its address.
 */
export function nodeProcess(
  plan: Blueprint,
  pause: string,
  dieWithParent: boolean,
): { command: readonly [string, ...string[]]; place: Place } {
  const own = nodeFolder(plan);
  const script = [
    'set -e',
    // Volumes of containers may ask for mounts to be passed on; nothing reaches the machine.
    'mount --make-rshared /',
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'mkdir -p /run/netns /run/lock /var/lib/kubelet /var/log/containers',
    // Two paths that the kubelet does not let one choose.
    `mount --bind ${own}/kubelet /var/lib/kubelet`,
    `mount --bind ${own}/containers /var/log/containers`,
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    'exec "$0"',
  ].join('\n');
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc', '--net'];
  const machine = thisMachine(dieWithParent);
  return {
    command: ['unshare', ...namespaces, 'sh', '-c', script, pause],
    place: { forks: true, wrap: (command) => machine.wrap(command) },
  };
}

/** Whether the first process of a node has made its mounts. */
export function nodeIsSetUp(pid: number, pause: string): boolean {
  try {
    // The kernel names the file itself; the cache may be a link to another disk.
    return readlinkSync(`/proc/${pid}/exe`) === realpathSync(pause);
  } catch {
    return false;
  }
}

/** Group below which the kubelet keeps the cgroups of its pods. */
export function cgroupName({ id }: Pick<Blueprint, 'id'>): string {
  return `mcp-fleet-${id}`;
}

export async function createNodeFolder(plan: Blueprint): Promise<void> {
  for (const name of ['kubelet', 'containers', 'cni', 'containerd', 'pods']) {
    await mkdir(join(nodeFolder(plan), name), { recursive: true });
  }
}

/** Inside the namespaces of a node. */
export function insideNode(pid: number): Place {
  return { forks: true, wrap: (command) => ['nsenter', '--target', String(pid), '--mount', '--pid', '--net', '--', ...command] };
}

function nodeFolder({ folder }: Blueprint): string {
  return join(folder, 'node');
}

export async function containerd(plan: Blueprint, pid: number): Promise<Component> {
  const own = nodeFolder(plan);
  const config = join(own, 'containerd.toml');
  await writeFile(join(own, 'cni', '10-pods.conflist'), JSON.stringify(podNetwork(plan), undefined, 2));
  await writeFile(config, containerdConfig(own));
  return plan.component({
    name: 'containerd',
    command: ['containerd', '--config', config],
    ready: async () => (await tryRun(insideNode(pid).wrap(ctr('version')))).code === 0,
  });
}

/** Loads a docker archive or OCI archive into the containerd of a node; returns the names of its images. */
export async function importImage(pid: number, archive: string): Promise<string[]> {
  const { stdout } = await run(insideNode(pid).wrap(ctr('images', 'import', '-')), createReadStream(archive));
  return [...stdout.matchAll(/^unpacking (\S+) /gm)].map((match) => match[1] ?? '');
}

export function ctr(...args: readonly string[]): readonly [string, ...string[]] {
  return ['ctr', '--address', CONTAINERD_SOCKET, '--namespace', 'k8s.io', ...args];
}

export async function kubelet(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  const own = nodeFolder(plan);
  const user = { commonName: `system:node:${plan.name}`, organizations: ['system:nodes'] };
  const client = await clientConfig(plan, credentials, 'kubelet', user);
  const serving = await writeKeyPair(
    pkiFolder(plan),
    'kubelet',
    await credentials.authority.issue({ ...user, dnsNames: [plan.name], ipAddresses: [plan.address] }),
  );
  const config = join(own, 'kubelet.yaml');
  await writeFile(join(own, 'resolv.conf'), `nameserver ${plan.address}\n`);
  await writeFile(
    config,
    stringify({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: plan.address,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: join(pkiFolder(plan), 'ca.crt') },
      },
      authorization: { mode: 'Webhook' },
      tlsCertFile: serving.certificate,
      tlsPrivateKeyFile: serving.key,
      containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${cgroupName(plan)}`,
      failCgroupV1: false,
      failSwapOn: false,
      // Disks of containers and continuous integration are often nearly full, or of a kind the kubelet cannot measure.
      localStorageCapacityIsolation: false,
      evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '0.1%', 'imagefs.available': '0.1%', 'nodefs.inodesFree': '0.1%' },
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
      clusterDNS: [plan.address],
      clusterDomain: 'cluster.local',
      resolvConf: join(own, 'resolv.conf'),
      podLogsDir: join(own, 'pods'),
      serializeImagePulls: false,
      // ConfigMaps and Secrets reach running pods this fast at the latest; the default is a minute.
      syncFrequency: '10s',
      configMapAndSecretChangeDetectionStrategy: 'Watch',
    }),
  );
  return plan.component({
    name: 'kubelet',
    command: [
      binary,
      `--config=${config}`,
      `--kubeconfig=${client}`,
      '--root-dir=/var/lib/kubelet',
      `--hostname-override=${plan.name}`,
      `--node-ip=${plan.address}`,
    ],
    ready: () => nodeIsReady(credentials.admin, plan.name),
  });
}

export async function kubeProxy(plan: Blueprint, binary: string, credentials: Credentials): Promise<Component> {
  const config = join(nodeFolder(plan), 'kube-proxy.yaml');
  const client = await clientConfig(plan, credentials, 'kube-proxy');
  await writeFile(
    config,
    stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'iptables',
      clientConnection: { kubeconfig: client },
      clusterCIDR: plan.podNetwork,
      hostnameOverride: plan.name,
      // Sizes of the connection table belong to the machine and cannot be set in a network namespace.
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
      iptables: { minSyncPeriod: '100ms' },
    }),
  );
  return plan.component({
    name: 'kube-proxy',
    command: [binary, `--config=${config}`],
    ready: () => Promise.resolve(true),
  });
}

async function nodeIsReady(access: ApiAccess, name: string): Promise<boolean> {
  if (!(await answers(access, `/api/v1/nodes/${name}`))) {
    return false;
  }
  const { body } = await callApi(access, 'GET', `/api/v1/nodes/${name}`);
  const node = JSON.parse(body) as { spec?: { taints?: object[] }; status?: { conditions?: { type: string; status: string }[] } };
  const ready = node.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
  return ready && (node.spec?.taints ?? []).length === 0;
}

/**
 * Every pod has a cable of its own to the node, which routes. On a bridge, the answer of a pod to its neighbour would bypass the
 * address translation of Services unless the kernel has br_netfilter.
 */
function podNetwork({ podNetwork: subnet }: Blueprint): object {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }], dataDir: '/run/cni' },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function containerdConfig(own: string): string {
  return `version = 2
root = "${join(own, 'containerd')}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "${CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Inside a container, scores below its own are refused.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "${executable('runc') ?? 'runc'}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniFolder() ?? CNI_FOLDERS[0]}"
    conf_dir = "${join(own, 'cni')}"
`;
}

/** Where the system keeps its CNI plugins, if it has them. */
export function cniFolder(): string | undefined {
  return CNI_FOLDERS.find((folder) => existsSync(join(folder, 'ptp')));
}
