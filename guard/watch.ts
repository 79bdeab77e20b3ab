import { watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A watch that was missed is made good after this time, milliseconds. */
const POLL = 10_000;
/** The kubelet swaps a whole directory at once; what follows within this time is the same change. */
const SETTLE = 5;

export interface Watching {
  close(): void;
}

/**
 * Calls back whenever files in a mounted directory may have changed. The kubelet replaces ConfigMap and Secret volumes by renaming a
 * symbolic link, which the directory's own watch sees; file systems without watches are polled.
 */
export function watchDirectory(directory: string, changed: () => void): Watching {
  let pending: NodeJS.Timeout | undefined;
  const settle = (): void => {
    pending ??= setTimeout(() => {
      pending = undefined;
      changed();
    }, SETTLE);
  };
  const watcher = watch(directory, { persistent: false }, settle);
  // A watch that breaks (the directory was replaced) leaves the poll.
  watcher.on('error', () => watcher.close());
  let seen = '';
  const poll = setInterval(() => {
    void fingerprint(directory).then((now) => {
      if (seen !== '' && now !== seen) settle();
      seen = now;
    });
  }, POLL);
  poll.unref();
  return {
    close: () => {
      clearInterval(poll);
      clearTimeout(pending);
      watcher.close();
    },
  };
}

async function fingerprint(directory: string): Promise<string> {
  try {
    const { mtimeMs, ino } = await stat(directory);
    return `${mtimeMs} ${ino}`;
  } catch {
    return 'gone';
  }
}

/** The directory that holds a file. */
export function directoryOf(file: string): string {
  return dirname(file);
}
