import { request } from 'undici';
import type { Dispatcher } from 'undici';

export interface Seen {
  readonly type: string;
  readonly object: { readonly metadata: { readonly name: string; readonly uid: string }; readonly spec?: unknown };
}

/** Watches one collection and tells when something was first seen there. */
export class Watcher {
  readonly #waiting = new Set<(seen: Seen) => void>();

  /** Resolves when the API server answered the watch. */
  static async open(origin: string, path: string, dispatcher: Dispatcher, signal: AbortSignal): Promise<Watcher> {
    const watcher = new Watcher();
    const { body, statusCode } = await request(`${origin}${path}?watch=true&resourceVersion=0`, {
      dispatcher,
      signal,
      bodyTimeout: 0,
    });
    if (statusCode !== 200) throw new Error(`watching ${path}: ${statusCode}`);
    watcher.#read(body).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return watcher;
  }

  /** Monotonic milliseconds at which the first event that fits arrived. Rejects after ten seconds. */
  next(fits: (seen: Seen) => boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(listen);
        reject(new Error('nothing happened for ten seconds'));
      }, 10_000);
      const listen = (seen: Seen): void => {
        if (!fits(seen)) return;
        clearTimeout(timer);
        this.#waiting.delete(listen);
        resolve(performance.now());
      };
      this.#waiting.add(listen);
    });
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    let rest = '';
    for await (const chunk of body) {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '' || this.#waiting.size === 0) continue;
        const seen = JSON.parse(line) as Seen;
        for (const listen of this.#waiting) listen(seen);
      }
    }
  }
}
