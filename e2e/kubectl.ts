import { execFile } from 'node:child_process';
import { binaries } from './cluster/binaries.ts';

/** Runs kubectl against one cluster. Answers standard output; errors carry what kubectl wrote. */
export type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

/** The pinned kubectl for the cluster of this kubeconfig. */
export async function kubectlFor(kubeconfig: string): Promise<Kubectl> {
  const { kubectl } = await binaries(['kubectl'], () => undefined);
  return (args, input = '') =>
    new Promise((resolve, reject) => {
      const options = { env: { ...process.env, KUBECONFIG: kubeconfig }, maxBuffer: 64 << 20 };
      const child = execFile(kubectl, [...args], options, (error, stdout, stderr) => {
        if (error === null) {
          resolve(stdout);
        } else {
          reject(new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
        }
      });
      child.stdin?.on('error', () => undefined).end(input);
    });
}
