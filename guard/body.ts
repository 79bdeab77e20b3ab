import type { IncomingMessage } from 'node:http';

/** What of a body counts for nothing: whoever sends large ones keeps small ones out no less than this. Bytes. */
const SMALL = 16 * 1024;

/** Memory that the bodies of all requests may take at once. Each alone is limited, but callers open as many requests as they like, known or not. */
export class BodyMemory {
  readonly #limit: number;
  #taken = 0;

  /** `limit`: bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A share of it, for one request. */
  share(): BodyShare {
    let counted = 0;
    const grow = (size: number): boolean => {
      const more = Math.max(0, size - SMALL) - counted;
      // One alone always fits: how large it may be is the policy's to say.
      if (this.#taken + more > this.#limit && this.#taken > counted) return false;
      this.#taken += more;
      counted += more;
      return true;
    };
    const release = (): void => {
      this.#taken -= counted;
      counted = 0;
    };
    return { grow, release };
  }
}

export interface BodyShare {
  /** Makes room for a body of so many bytes in all; false: there is none. */
  readonly grow: (size: number) => boolean;
  readonly release: () => void;
}

type Unread = 'too large' | 'no room' | 'gone';

/** Reads a body of at most `limit` bytes, as far as its share of the memory goes. What exceeds them is not read on. */
export function readBody(request: IncomingMessage, limit: number, share: BodyShare): Promise<Buffer | Unread> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.resolve('too large');
  const { promise, resolve } = Promise.withResolvers<Buffer | Unread>();
  let chunks: Buffer[] = [];
  let size = 0;
  const stop = (why: Unread): void => {
    request.pause();
    chunks = [];
    resolve(why);
  };
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) stop('too large');
    else if (!share.grow(size)) stop('no room');
    else chunks.push(chunk);
  });
  request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)));
  request.on('close', () => resolve('gone'));
  request.on('error', () => resolve('gone'));
  return promise;
}
