import { npmRegistry } from './npm.ts';
import { pypiIndex } from './pypi.ts';

export interface RegistryOptions {
  /** Address of this machine that pods can reach, for example that of the clusters' bridge. */
  readonly address: string;
  /** Exact requirements whose wheels the index offers, with all that they depend on, for example `duckduckgo-mcp-server==0.7.0`. */
  readonly pypi?: readonly string[];
}

/** Package registries for pods that cannot reach outside. */
export interface Registry extends AsyncDisposable {
  /** For `NPM_CONFIG_REGISTRY`. */
  readonly npmUrl: string;
  /** For `UV_INDEX_URL`. */
  readonly pypiUrl: string;
  stop(): Promise<void>;
}

/**
 * Starts an npm registry that fetches what it lacks from the registry that npm on this machine is configured with and keeps it in the cache,
 * and a static PyPI index filled through this machine's pip. Both end with this process.
 */
export async function startRegistry({ address, pypi = [] }: RegistryOptions): Promise<Registry> {
  const [npm, index] = await Promise.all([npmRegistry(address), pypiIndex(address, pypi)]);
  async function stop(): Promise<void> {
    await Promise.all([npm.stop(), index.stop()]);
  }
  return { npmUrl: npm.url, pypiUrl: index.url, stop, [Symbol.asyncDispose]: stop };
}
