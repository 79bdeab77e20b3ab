import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'undici';
import { parse } from 'yaml';
import type { Cluster } from '../../e2e/cluster/cluster.ts';

export const NAMESPACE = 'fleet';

/** Sockets of the trivial client: more gain nothing on two cores. */
export const CONNECTIONS = 32;

/** The simplest pooled client there is: what an operator could reach at best. */
export class PooledClient implements AsyncDisposable {
  readonly #pool: Pool;

  constructor(cluster: Pick<Cluster, 'apiServerUrl' | 'caPem' | 'adminCertificate'>, connections = CONNECTIONS) {
    this.#pool = new Pool(cluster.apiServerUrl, {
      connections,
      allowH2: false,
      connect: { ca: cluster.caPem, cert: cluster.adminCertificate.certificate, key: cluster.adminCertificate.key },
    });
  }

  /** @throws Error with the server's answer when it is not a success */
  async send(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<unknown> {
    const answer = await this.#pool.request({
      method,
      path,
      headers: { 'content-type': contentType },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 500)}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  apply(path: string, object: unknown, manager = 'bench'): Promise<unknown> {
    return this.send('PATCH', `${path}?fieldManager=${manager}&force=true`, object, 'application/apply-patch+yaml');
  }

  /** Applies all of them in order, `CONNECTIONS` at a time. Returns applies per second. */
  async applyAll(objects: readonly { readonly path: string; readonly object: unknown }[], manager?: string): Promise<number> {
    const started = performance.now();
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let one = objects[next++]; one !== undefined; one = objects[next++]) await this.apply(one.path, one.object, manager);
    };
    // All of them end before the first failure is told: the pool is destroyed right after.
    const settled = await Promise.allSettled(Array.from({ length: CONNECTIONS }, worker));
    for (const one of settled) if (one.status === 'rejected') throw one.reason;
    return objects.length / ((performance.now() - started) / 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close();
  }
}

const DEFINITIONS = join(import.meta.dirname, '../../crds');

/** CRDs and namespace, as `make install` and a team would make them. */
export async function prepare(client: PooledClient): Promise<void> {
  for (const file of (await readdir(DEFINITIONS)).filter((name) => name.startsWith('mcp-fleet.dev_'))) {
    const crd = parse(await readFile(join(DEFINITIONS, file), 'utf8')) as { metadata: { name: string } };
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`;
    await client.apply(path, crd);
    for (;;) {
      const live = (await client.send('GET', path)) as { status?: { conditions?: { type: string; status: string }[] } };
      if (live.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true) break;
    }
  }
  await client.apply(`/api/v1/namespaces/${NAMESPACE}`, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
}

export const serverPath = (name: string): string => `/apis/mcp-fleet.dev/v1alpha1/namespaces/${NAMESPACE}/mcpservers/${name}`;
export const deploymentPath = (name: string): string => `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${name}`;
export const nameOf = (index: number): string => `server-${String(index).padStart(5, '0')}`;

/** A server such as most are: an image, an argument, a variable. */
export const mcpserver = (name: string, spec: object = {}): object => ({
  apiVersion: 'mcp-fleet.dev/v1alpha1',
  kind: 'MCPServer',
  metadata: { name, namespace: NAMESPACE },
  spec: {
    container: { image: 'mcp-fleet.dev/faulty:1', args: ['--mode', 'Healthy'] },
    env: [{ name: 'SERVER_NAME', value: name }],
    ...spec,
  },
});
