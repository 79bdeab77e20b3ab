import { spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { link, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { binaries } from './cluster/binaries.ts';

/** Below the folder of a cluster: what the witness keeps. */
const KEPT = 'witness';

/** Whose logs are kept: the operator and guards. What servers log is theirs. */
const CONTAINERS = ['operator', 'guard'];

/** Kinds whose every version is written down. */
const WATCHED = {
  events: '/apis/events.k8s.io/v1/events',
  mcpservers: '/apis/mcp-fleet.dev/v1alpha1/mcpservers',
  mcptoolpolicies: '/apis/mcp-fleet.dev/v1alpha1/mcptoolpolicies',
} as const;

/** Milliseconds between two looks for new logs. A pod takes longer than that from its first line to its end. */
const PERIOD = 250;

/**
 * Remembers what an operator and its guards said while tests ran, which the cluster forgets: the logs of pods that are gone, events that have
 * expired, statuses that were overwritten.
 *
 * A log is kept by another name for the same file, so that nothing is copied and nothing is missed between two looks; names are
 * `<namespace>_<pod>_<uid>/<container>/<restart>-<inode>.log`, since the kubelet rotates long ones.
 */
export class Witness implements AsyncDisposable {
  readonly #logs: string;
  readonly #target: string;
  readonly #stopped = new AbortController();
  readonly #known = new Set<string>();
  readonly #files: WriteStream[] = [];
  #work: readonly Promise<void>[] = [];

  private constructor(folder: string) {
    this.#logs = join(folder, 'node/pods');
    this.#target = join(folder, KEPT);
  }

  /** @param folder the cluster's */
  static async of(folder: string): Promise<Witness> {
    const witness = new Witness(folder);
    await mkdir(witness.#target, { recursive: true });
    const { kubectl } = await binaries(['kubectl'], () => undefined);
    const watches = Object.entries(WATCHED).map(([name, path]) => witness.#watch(kubectl, join(folder, 'kubeconfig'), name, path));
    witness.#work = [witness.#follow(), ...watches];
    return witness;
  }

  async #follow(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await this.#look();
      await delay(PERIOD, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    for (const pod of await names(this.#logs)) {
      for (const container of CONTAINERS) {
        for (const file of (await names(join(this.#logs, pod, container))).filter((name) => !name.endsWith('.gz'))) {
          await this.#keep(pod, container, file);
        }
      }
    }
  }

  async #keep(pod: string, container: string, file: string): Promise<void> {
    const source = join(this.#logs, pod, container, file);
    // A file that went between two calls was seen before, or held nothing that a pod of its age could have said.
    const inode = await stat(source).then(
      ({ ino }) => ino,
      () => undefined,
    );
    const kept = `${pod}/${container}/${file.split('.')[0] ?? ''}-${inode}.log`;
    if (inode === undefined || this.#known.has(kept)) return;
    await mkdir(join(this.#target, 'logs', pod, container), { recursive: true });
    await link(source, join(this.#target, 'logs', kept)).catch((error: unknown) => {
      const code = (error as { readonly code?: unknown }).code;
      if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
    });
    this.#known.add(kept);
  }

  /** API servers end watches once in a while, and tests restart API servers. Each watch begins with what there is. */
  async #watch(kubectl: string, kubeconfig: string, name: string, path: string): Promise<void> {
    const file = createWriteStream(join(this.#target, `${name}.jsonl`), { flags: 'a' });
    this.#files.push(file);
    while (!this.#stopped.signal.aborted) {
      await new Promise<void>((resolve) => {
        const child = spawn(kubectl, ['get', '--raw', `${path}?watch=true`], {
          env: { ...process.env, KUBECONFIG: kubeconfig },
          stdio: ['ignore', 'pipe', 'ignore'],
          signal: this.#stopped.signal,
        });
        child.stdout.pipe(file, { end: false });
        child.once('error', () => resolve());
        child.once('close', () => resolve());
      });
      await delay(500, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#work);
    await this.#look();
    await Promise.all(this.#files.map((file) => new Promise<void>((resolve) => void file.end(resolve))));
  }
}

/** What the witness of a cluster keeps, and where it belongs in that cluster's artifacts. */
export const witnessed = (folder: string): string => join(folder, KEPT);

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);
