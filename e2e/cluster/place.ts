import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Place } from './component.ts';

/**
 * Directly on this machine.
 *
 * @param dieWithParent the kernel kills the process when this one ends in whatever way (Linux with util-linux; elsewhere the next start clears it)
 */
export function thisMachine(dieWithParent: boolean): Place {
  const setpriv = dieWithParent ? executable('setpriv') : undefined;
  return { forks: false, wrap: (command) => (setpriv === undefined ? command : [setpriv, '--pdeathsig', 'KILL', '--', ...command]) };
}

/** First executable of this name in PATH or the system folders, which the PATH of a user may lack. */
export function executable(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
