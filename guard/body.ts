import type { IncomingMessage } from 'node:http';

/** Reads a body of at most `limit` bytes. What exceeds it is not read on. */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | 'too large' | 'gone'> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.resolve('too large');
  const { promise, resolve } = Promise.withResolvers<Buffer | 'too large' | 'gone'>();
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) {
      request.pause();
      resolve('too large');
    } else {
      chunks.push(chunk);
    }
  });
  request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)));
  request.on('close', () => resolve('gone'));
  request.on('error', () => resolve('gone'));
  return promise;
}
