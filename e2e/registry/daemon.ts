import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';

export interface RegistryUrls {
  readonly npmUrl: string;
  readonly pypiUrl: string;
}

/**
 * Registries that outlive this process and end when `state` is removed. Those that serve already are used again.
 *
 * @param log file for what they write
 * @param pypi requirements that the index offers, as in `RegistryOptions`
 */
export async function standingRegistry(address: string, state: string, log: string, pypi: readonly string[] = []): Promise<RegistryUrls> {
  const running = await urls(state);
  if (running !== undefined && (await pings(running.npmUrl))) {
    return running;
  }
  await rm(state, { force: true });
  await mkdir(dirname(log), { recursive: true });
  const output = await open(log, 'a');
  try {
    const requirements = pypi.flatMap((requirement) => ['--pypi', requirement]);
    const program = [join(import.meta.dirname, 'main.ts'), '--address', address, '--state', state, ...requirements];
    const child = spawn(process.execPath, program, { detached: true, stdio: ['ignore', output.fd, output.fd] });
    child.unref();
    for (let attempt = 0; attempt < 600 && child.exitCode === null; attempt += 1) {
      const started = await urls(state);
      if (started !== undefined) {
        return started;
      }
      await after(100);
    }
  } finally {
    await output.close();
  }
  throw new Error(`the package registry did not start, see ${log}`);
}

async function urls(state: string): Promise<RegistryUrls | undefined> {
  const text = await readFile(state, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as RegistryUrls);
}

function pings(url: string): Promise<boolean> {
  return fetch(`${url}-/ping`, { signal: AbortSignal.timeout(2_000) }).then(
    (response) => response.ok,
    () => false,
  );
}
