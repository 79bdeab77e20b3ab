import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Header fields from a mounted Secret: one file per field, its name the field's, in lower case. The kubelet's own files begin with a dot. */
export function headersFrom(directory: string): ReadonlyMap<string, string> {
  const names = readdirSync(directory).filter((name) => !name.startsWith('.'));
  return new Map(names.map((name) => [name.toLowerCase(), readFileSync(join(directory, name), 'utf8').trim()]));
}
