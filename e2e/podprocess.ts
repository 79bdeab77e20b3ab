import { readdir, readFile } from 'node:fs/promises';
import type { Pod } from '../operator/kube/wire.ts';

/** Process on this machine that runs a program in a pod. */
export async function podProcess(pod: Pod, program: string): Promise<number> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const [commandLine, cgroup] = await Promise.all([read(`/proc/${entry}/cmdline`), read(`/proc/${entry}/cgroup`)]);
    if (commandLine.includes(program) && cgroup.includes(`/pod${pod.metadata.uid ?? ''}/`)) return Number(entry);
  }
  throw new Error(`no process of pod ${pod.metadata.name} runs ${program}`);
}

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
