import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The requirement sets of the official conformance suite, one per era. */
export type Requirements = '2025-11-25' | '2026-07-28';

/** Status of each check, by scenario and check; checks that repeat are numbered. */
export type Checks = ReadonlyMap<string, string>;

/** Runs the official suite against a server and gives every check's status. */
export async function conformance(url: string, requirements: Requirements): Promise<Checks> {
  const output = mkdtempSync(join(tmpdir(), 'conformance-'));
  const program = join(dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')), 'dist/index.js');
  const child = spawn(process.execPath, [program, 'server', '--url', url, '--requirements', requirements, '-o', output], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  await once(child, 'exit');
  const checks = new Map<string, string>();
  for (const file of readdirSync(output, { recursive: true, encoding: 'utf8' }).toSorted()) {
    if (!file.endsWith('checks.json')) continue;
    // The folder is named after scenario and time of day.
    const scenario = dirname(file).replace(/-\d{4}-\d{2}-\d{2}T.*$/, '');
    for (const { id, status } of JSON.parse(readFileSync(join(output, file), 'utf8')) as readonly { id: string; status: string }[]) {
      let key = `${scenario}/${id}`;
      for (let repeat = 2; checks.has(key); repeat += 1) key = `${scenario}/${id}#${repeat}`;
      checks.set(key, status);
    }
  }
  rmSync(output, { recursive: true, force: true });
  return checks;
}

/** The checks that came out differently, as `check: direct → guarded`. */
export function differences(direct: Checks, guarded: Checks): readonly string[] {
  return [...new Set([...direct.keys(), ...guarded.keys()])]
    .filter((key) => direct.get(key) !== guarded.get(key))
    .map((key) => `${key}: ${direct.get(key) ?? 'absent'} → ${guarded.get(key) ?? 'absent'}`);
}
