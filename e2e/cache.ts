import { homedir } from 'node:os';
import { join } from 'node:path';

/** Folder for what is expensive to make and good for every checkout of this repository: `$XDG_CACHE_HOME/mcp-fleet-operator/…`. */
export function cacheDirectory(...parts: readonly string[]): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-fleet-operator', ...parts);
}
