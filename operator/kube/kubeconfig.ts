import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { type Credentials, inCluster, isInCluster, type TLS, tokenFile } from './credentials.ts';

interface Cluster {
  readonly server?: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
}

interface User {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly exec?: unknown;
  readonly 'auth-provider'?: unknown;
}

interface Context {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

interface Config {
  readonly 'current-context'?: string;
  readonly clusters?: readonly { readonly name: string; readonly cluster?: Cluster }[];
  readonly users?: readonly { readonly name: string; readonly user?: User }[];
  readonly contexts?: readonly { readonly name: string; readonly context?: Context }[];
}

export interface KubeconfigOptions {
  /** Default: `$KUBECONFIG` (its first file), then `~/.kube/config`. */
  readonly path?: string | undefined;
  /** Default: `current-context`. */
  readonly context?: string | undefined;
}

/** The pod's ServiceAccount in a cluster, unless a kubeconfig is named; otherwise the developer's kubeconfig. */
export async function defaultCredentials(options: KubeconfigOptions = {}): Promise<Credentials> {
  const named = options.path ?? process.env['KUBECONFIG'];
  return (named === undefined || named === '') && isInCluster() ? inCluster() : kubeconfig(options);
}

/**
 * Credentials of a kubeconfig context. Certificates, tokens, token files and basic auth are read here; `exec` and
 * `auth-provider` (OIDC) go through `@kubernetes/client-node`, which is loaded only then, because it costs 80 MiB.
 */
export async function kubeconfig({ path = defaultPath(), context: wanted }: KubeconfigOptions = {}): Promise<Credentials> {
  // The default export: a bundle knows no other of a CommonJS module that is loaded late.
  const { default: yaml } = await import('yaml');
  const config = (yaml.parse(await readFile(path, 'utf8')) ?? {}) as Config;
  const contextName = wanted ?? config['current-context'];
  const context = config.contexts?.find(({ name }) => name === contextName)?.context;
  if (context === undefined) throw new Error(`kubeconfig ${path} has no context ${JSON.stringify(contextName ?? '')}`);
  const cluster = config.clusters?.find(({ name }) => name === context.cluster)?.cluster;
  if (cluster?.server === undefined)
    throw new Error(`kubeconfig ${path} has no server for cluster ${JSON.stringify(context.cluster ?? '')}`);
  const user = config.users?.find(({ name }) => name === context.user)?.user ?? {};

  const file = fileReader(dirname(path));
  const [ca, cert, key] = await Promise.all([
    file(cluster['certificate-authority'], cluster['certificate-authority-data']),
    file(user['client-certificate'], user['client-certificate-data']),
    file(user['client-key'], user['client-key-data']),
  ]);
  const servername = cluster['tls-server-name'];
  const tls: TLS = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(servername !== undefined && { servername }),
    ...(cluster['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
  };
  const place = { server: cluster.server.replace(/\/+$/, ''), namespace: context.namespace ?? 'default' };
  if (user.exec !== undefined || user['auth-provider'] !== undefined) return plugin(path, contextName, place, tls);
  return { ...place, tls, ...authorizer(user, dirname(path)) };
}

function defaultPath(): string {
  const first = process.env['KUBECONFIG']?.split(':').find((entry) => entry !== '');
  return first ?? join(homedir(), '.kube', 'config');
}

/** Data in the file wins over a path, as in client-go; paths are relative to the kubeconfig. */
const fileReader =
  (directory: string) =>
  async (path: string | undefined, data: string | undefined): Promise<string | undefined> => {
    if (data !== undefined && data !== '') return Buffer.from(data, 'base64').toString('utf8');
    if (path === undefined || path === '') return undefined;
    return readFile(isAbsolute(path) ? path : join(directory, path), 'utf8');
  };

function authorizer(user: User, directory: string): Pick<Credentials, 'authorization' | 'refused'> {
  const { token, tokenFile: path, username, password } = user;
  if (path !== undefined && path !== '') return tokenFile(isAbsolute(path) ? path : join(directory, path));
  const fixed =
    token !== undefined && token !== ''
      ? `Bearer ${token}`
      : username !== undefined
        ? `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
        : undefined;
  return { authorization: () => Promise.resolve(fixed), refused: () => {} };
}

/** Asks the plugin once a minute at most and after a refusal; the plugin itself caches for as long as its token lives. */
async function plugin(
  path: string,
  context: string | undefined,
  place: Pick<Credentials, 'server' | 'namespace'>,
  tls: TLS,
): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const load = async (): Promise<{ authorization?: string; cert?: string; key?: string }> => {
    const config = new KubeConfig();
    config.loadFromFile(path);
    if (context !== undefined) config.setCurrentContext(context);
    const options: { headers?: Record<string, unknown>; cert?: string | Buffer; key?: string | Buffer } = {};
    await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
    const authorization = options.headers?.['Authorization'] ?? options.headers?.['authorization'];
    return {
      ...(typeof authorization === 'string' && { authorization }),
      ...(options.cert !== undefined && { cert: options.cert.toString() }),
      ...(options.key !== undefined && { key: options.key.toString() }),
    };
  };
  let last = await load();
  let readAt = performance.now();
  return {
    ...place,
    tls: { ...tls, ...(last.cert !== undefined && { cert: last.cert }), ...(last.key !== undefined && { key: last.key }) },
    authorization: async () => {
      if (performance.now() - readAt >= 60_000) {
        last = await load();
        readAt = performance.now();
      }
      return last.authorization;
    },
    refused: () => {
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
}
