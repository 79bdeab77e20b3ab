import { lstat, mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { clearOutside, startCluster } from './cluster.ts';
import { isLive, openInstance, removeInstance } from './instance.ts';
import type { Instance } from './instance.ts';
import { serverOf } from './kubeconfig.ts';
import { importImage } from './node.ts';
import { isAlive } from './process.ts';
import type { Provider } from './provider.ts';

/**
 * Clusters of this repository's own, for machines without Docker.
 *
 * @param folderOf `.clusters/<name>`, here a link to the folder of the cluster
 */
export function builtIn(folderOf: (name: string) => string): Provider {
  async function instanceOf(name: string): Promise<Instance> {
    const folder = await readlink(folderOf(name)).catch(() => undefined);
    const instance = folder === undefined ? undefined : openInstance(folder);
    if (instance === undefined) {
      throw new Error(`Cluster ${name} does not run; make cluster-up NAME=${name} starts it`);
    }
    return instance;
  }
  async function nodePid(name: string): Promise<number | undefined> {
    const node = (await instanceOf(name)).state.processes['node'];
    return node !== undefined && isAlive(node) ? node.pid : undefined;
  }
  return {
    type: 'built-in',
    async up(name, { controlPlaneOnly, metricsServer, progress }) {
      const cluster = await startCluster({
        name,
        controlPlaneOnly,
        controllerManager: true,
        metricsServer: metricsServer && !controlPlaneOnly,
        detached: true,
        progress,
      });
      const link = folderOf(name);
      await mkdir(dirname(link), { recursive: true });
      await rm(link, { force: true });
      await symlink(cluster.folder, link);
    },
    async load(name, archive) {
      const pid = await nodePid(name);
      if (pid === undefined) {
        throw new Error(`Cluster ${name} has no node to load images into`);
      }
      return importImage(pid, archive);
    },
    async shell(name) {
      const pid = await nodePid(name);
      const shell = process.env['SHELL'] ?? '/bin/sh';
      return pid === undefined ? [shell] : ['nsenter', `--net=/proc/${pid}/ns/net`, '--', shell];
    },
    async down(name) {
      const folder = await readlink(folderOf(name)).catch(() => undefined);
      const instance = folder === undefined ? undefined : openInstance(folder);
      if (instance !== undefined) {
        await removeInstance(instance, clearOutside);
      }
      await rm(folderOf(name), { force: true });
    },
    async describe(name) {
      const instance = await instanceOf(name).catch(() => undefined);
      const state = instance?.state;
      const running = state !== undefined && isLive(state);
      const alive = Object.entries(state?.processes ?? {}).filter(([, identity]) => isAlive(identity));
      const details = running ? `${state.id}: ${alive.map(([component]) => component).join(', ')}` : 'gone';
      const kubeconfigPath = join(folderOf(name), 'kubeconfig');
      return { name, provider: 'built-in', running, kubeconfigPath, apiServerUrl: await serverOf(kubeconfigPath), details };
    },
  };
}

/** Whether `.clusters/<name>` is what this provider leaves there. */
export async function isBuiltIn(folder: string): Promise<boolean> {
  return lstat(folder).then(
    (info) => info.isSymbolicLink(),
    () => false,
  );
}
