import { request } from 'node:https';
import type { KeyPair } from './pki.ts';

/** How to reach an API server as one user. */
export interface ApiAccess {
  readonly server: string;
  readonly authority: string;
  readonly user: KeyPair;
}

export interface ApiResponse {
  readonly status: number;
  readonly body: string;
}

/** One request on a connection of its own: what starting a cluster needs, before and beside any client under test. */
export function callApi(access: ApiAccess, method: string, path: string, body?: object): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, access.server),
      {
        method,
        ca: access.authority,
        cert: access.user.certificate,
        key: access.user.key,
        agent: false,
        timeout: 10_000,
        headers: body === undefined ? {} : { 'content-type': method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json' },
      },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(parts).toString() }));
        incoming.on('error', reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path} took longer than 10 s`)));
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Whether a path answers 200; errors of any kind say no. */
export async function answers(access: ApiAccess, path: string): Promise<boolean> {
  return callApi(access, 'GET', path).then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** Server-side apply of one object at its path. @throws Error with the server's words when it refuses */
export async function applyObject(access: ApiAccess, path: string, object: object): Promise<void> {
  const { status, body } = await callApi(access, 'PATCH', `${path}?fieldManager=e2e-cluster&force=true`, object);
  if (status >= 300) {
    throw new Error(`PATCH ${path} was answered with ${status}: ${body}`);
  }
}
