import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
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

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
