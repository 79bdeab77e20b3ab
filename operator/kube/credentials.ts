import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface TLS {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Where the API server is and how to prove who we are. */
export interface Credentials {
  /** Origin, without a trailing slash. */
  readonly server: string;
  readonly tls: TLS;
  /** Namespace of the pod or of the kubeconfig context. */
  readonly namespace: string;
  /** Value of the `authorization` header; `undefined` for client certificates. Rejects rather than fall back to no token. */
  authorization(): Promise<string | undefined>;
  /** Says that the last token was refused (401): the next one is read afresh. */
  refused(): void;
}

/** client-go re-reads a token file every 60 s (`transport/token_source.go`). */
const TOKEN_TTL = 60_000;

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface InClusterOptions {
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export const isInCluster = (env: Readonly<Record<string, string | undefined>> = process.env): boolean =>
  env['KUBERNETES_SERVICE_HOST'] !== undefined && env['KUBERNETES_SERVICE_PORT'] !== undefined;

/** The pod's ServiceAccount. */
export async function inCluster({ directory = SERVICE_ACCOUNT, env = process.env, now }: InClusterOptions = {}): Promise<Credentials> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (host === undefined || port === undefined) throw new Error('not in a cluster: KUBERNETES_SERVICE_HOST and _PORT are not set');
  const [ca, namespace] = await Promise.all([
    readFile(join(directory, 'ca.crt'), 'utf8'),
    readFile(join(directory, 'namespace'), 'utf8').catch(() => 'default'),
  ]);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: { ca },
    namespace: namespace.trim(),
    ...tokenFile(join(directory, 'token'), now),
  };
}

/**
 * A bearer token in a file that somebody rotates.
 *
 * Guarantees: read at most once per minute, and again right after a refusal; concurrent callers share one read. When a
 * re-read fails the last token is used, since it is usually valid for longer than the file is missing; with none, it rejects.
 */
export function tokenFile(path: string, now: () => number = () => performance.now()): Pick<Credentials, 'authorization' | 'refused'> {
  let last: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<string> | undefined;
  const read = async (): Promise<string> => {
    try {
      const token = (await readFile(path, 'utf8')).trim();
      if (token === '') throw new Error(`token file ${path} is empty`);
      last = `Bearer ${token}`;
      readAt = now();
    } catch (error) {
      if (last === undefined) throw error;
    } finally {
      reading = undefined;
    }
    return last;
  };
  return {
    authorization: () => {
      if (last !== undefined && now() - readAt < TOKEN_TTL) return Promise.resolve(last);
      reading ??= read();
      return reading;
    },
    refused: () => {
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
}
