import { access, type Access } from './access.ts';
import { KubeApi } from './kubeapi.ts';
import type { OutputFormat } from './output.ts';
import type { Terminal } from './terminal.ts';

/** What every command that talks to a cluster is given. */
export interface Context {
  readonly terminal: Terminal;
  readonly access: Access;
  readonly api: KubeApi;
  /** Of `--namespace`, or of the kubeconfig's context. */
  readonly namespace: string;
  readonly allNamespaces: boolean;
  readonly output: OutputFormat | undefined;
  readonly now: () => Date;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Options that the commands share. */
export interface SharedOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly output?: OutputFormat;
}

/** The process around a command, replaceable in tests. */
export interface Environment {
  readonly terminal: Terminal;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/** Opens the cluster, runs a command with it, closes the connections. */
export async function inCluster(
  environment: Environment,
  options: SharedOptions,
  command: (context: Context) => Promise<void>,
): Promise<void> {
  await using cluster = await access(options);
  const { terminal, now, signal } = environment;
  await command({
    terminal,
    now,
    signal,
    access: cluster,
    api: new KubeApi(cluster, signal),
    namespace: options.namespace ?? cluster.namespace,
    allNamespaces: options.allNamespaces === true,
    output: options.output,
  });
}
