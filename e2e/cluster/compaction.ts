import { request } from 'node:http';

/**
 * Makes etcd forget all revisions but the newest, as it does in production every five minutes. An API server that is started after
 * this, with nothing in its watch cache, answers what asks for an older revision with a genuine 410.
 *
 * @param socket on which etcd listens
 */
export async function compact(socket: string): Promise<void> {
  const { header } = (await post(socket, '/v3/kv/range', { key: Buffer.from('/').toString('base64'), count_only: true })) as {
    header: { revision: string };
  };
  await post(socket, '/v3/kv/compaction', { revision: header.revision, physical: true });
}

function post(socketPath: string, path: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, method: 'POST' }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (incoming.statusCode === 200) {
          resolve(JSON.parse(text));
        } else {
          reject(new Error(`etcd answered ${path} with ${incoming.statusCode ?? 0}: ${text}`));
        }
      });
    });
    outgoing.on('error', reject);
    outgoing.end(JSON.stringify(body));
  });
}
