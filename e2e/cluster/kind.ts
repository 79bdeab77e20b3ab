import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverOf } from './kubeconfig.ts';
import { executable } from './place.ts';
import type { Provider } from './provider.ts';
import { run, tryRun } from './run.ts';

/** Whether kind can be used: its program is there and Docker runs, not just its client. */
export async function kindIsUsable(): Promise<boolean> {
  if (executable('kind') === undefined || executable('docker') === undefined) {
    return false;
  }
  return (await tryRun(['docker', 'info', '--format', '{{.ServerVersion}}'])).code === 0;
}

/**
 * Clusters of kind (kind.sigs.k8s.io).
 *
 * @param folderOf `.clusters/<name>`, here a folder with the kubeconfig
 */
export function kind(folderOf: (name: string) => string): Provider {
  /** Others use kind on this machine, too. */
  const kindName = (name: string): string => `mcp-fleet-${name}`;
  const kubeconfig = (name: string): string => join(folderOf(name), 'kubeconfig');
  return {
    type: 'kind',
    async up(name, { progress }) {
      progress('Starting the cluster with kind');
      await mkdir(folderOf(name), { recursive: true });
      await run(['kind', 'create', 'cluster', '--name', kindName(name), '--kubeconfig', kubeconfig(name), '--wait', '120s']);
    },
    async load(name, archive) {
      await run(['kind', 'load', 'image-archive', archive, '--name', kindName(name)]);
      return [];
    },
    shell: (name) => Promise.resolve(['docker', 'exec', '--interactive', '--tty', `${kindName(name)}-control-plane`, 'bash']),
    async down(name) {
      await run(['kind', 'delete', 'cluster', '--name', kindName(name), '--kubeconfig', kubeconfig(name)]);
      await rm(folderOf(name), { recursive: true, force: true });
    },
    async describe(name) {
      const { stdout } = await tryRun(['kind', 'get', 'clusters']);
      const running = stdout.split('\n').includes(kindName(name));
      const kubeconfigPath = kubeconfig(name);
      const details = running ? kindName(name) : 'gone';
      return { name, provider: 'kind', running, kubeconfigPath, apiServerUrl: await serverOf(kubeconfigPath), details };
    },
  };
}
