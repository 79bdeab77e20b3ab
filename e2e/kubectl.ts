import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { binaries } from './cluster/binaries.ts';
import type { Pod } from '../operator/kube/wire.ts';
import { executable } from './cluster/place.ts';

/** Runs kubectl against one cluster. Answers standard output; errors carry what kubectl wrote. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

/** The pinned kubectl for the cluster of this kubeconfig. */
export async function kubectlFor(kubeconfig: string): Promise<Kubectl> {
  const { kubectl } = await binaries(['kubectl'], () => undefined);
  return runner(kubectl, { ...process.env, KUBECONFIG: kubeconfig });
}

/** Once pods are gone for the API server, too: a kubelet with much to do may say so a minute after their last container ended. */
export async function gone(kubectl: Kubectl, namespace: string, pods: readonly Pod[]): Promise<void> {
  await kubectl(['wait', '--for=delete', '--timeout=240s', '-n', namespace, ...pods.map(({ metadata }) => `pod/${metadata.name}`)]);
}

/** This machine's own kubectl, or else the pinned one, for whatever cluster the environment names. */
export async function kubectlHere(): Promise<Kubectl> {
  const program = executable('kubectl') ?? (await binaries(['kubectl'], () => undefined)).kubectl;
  return runner(program, process.env);
}

function runner(program: string, env: NodeJS.ProcessEnv): Kubectl {
  return (args, input = '') =>
    new Promise((resolve, reject) => {
      const child = execFile(program, [...args], { env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        if (error === null) {
          resolve(stdout);
        } else {
          reject(new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
        }
      });
      child.stdin?.on('error', () => undefined).end(input);
    });
}

/** Waits until the API server serves these definitions, by their full names. */
export async function established(kubectl: Kubectl, definitions: readonly string[]): Promise<void> {
  const wait = ['wait', '--for=condition=Established', '--timeout=60s', ...definitions.map((name) => `crd/${name}`)];
  for (let attempts = 0; ; attempts++) {
    try {
      await kubectl(wait);
      return;
    } catch (error) {
      // kubectl gives up on a definition so new that its list of conditions is still null.
      if (attempts === 40 || !String(error).includes('conditions accessor error')) throw error;
      await delay(250);
    }
  }
}
