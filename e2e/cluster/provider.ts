import type { Progress } from './binaries.ts';

/** A cluster that stays after the command that started it, known in this checkout by its name. */
export interface NamedCluster {
  readonly name: string;
  readonly provider: 'built-in' | 'kind';
  readonly running: boolean;
  /** In this checkout: `.clusters/<name>/kubeconfig`. */
  readonly kubeconfigPath: string;
  /** Absent when its kubeconfig is. */
  readonly apiServerUrl: string | undefined;
  /** Short facts for people. */
  readonly details: string;
}

export interface UpOptions {
  readonly controlPlaneOnly: boolean;
  readonly metricsServer: boolean;
  readonly progress: Progress;
}

/** What brings up clusters that stay. */
export interface Provider {
  readonly type: NamedCluster['provider'];
  /** Starts the cluster and writes `.clusters/<name>/kubeconfig`. */
  up(name: string, options: UpOptions): Promise<void>;
  /** Loads a docker or OCI archive; returns the names of its images as far as they are known. */
  load(name: string, archive: string): Promise<string[]>;
  /** The command that opens a shell in the cluster's network. */
  shell(name: string): Promise<readonly [string, ...string[]]>;
  /** Stops the cluster and removes everything of it, `.clusters/<name>` included. */
  down(name: string): Promise<void>;
  describe(name: string): Promise<NamedCluster>;
}
