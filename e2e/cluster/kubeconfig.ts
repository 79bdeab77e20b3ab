import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { KeyPair } from './pki.ts';

export interface KubeconfigParts {
  /** Name of cluster, context and user. */
  readonly name: string;
  readonly server: string;
  readonly authority: string;
  readonly user: KeyPair;
}

/** A kubeconfig that holds everything itself, so that it can be copied. */
export function kubeconfig({ name, server, authority, user }: KubeconfigParts): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [{ name, user: { 'client-certificate-data': base64(user.certificate), 'client-key-data': base64(user.key) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

export async function writeKubeconfig(path: string, parts: KubeconfigParts): Promise<string> {
  await writeFile(path, kubeconfig(parts), { mode: 0o600 });
  return path;
}

/** URL of the API server that a kubeconfig of one cluster names; undefined when there is no such file. */
export async function serverOf(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const config = text === undefined ? undefined : (parse(text) as { clusters: { cluster: { server: string } }[] });
  return config?.clusters[0]?.cluster.server;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
