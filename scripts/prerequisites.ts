import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Sees to it that a program is there: as root on Debian or Ubuntu it is installed, elsewhere the error says how.
 *
 * @param packageName of Debian
 * @param purpose completes "needed …"
 */
export async function requirePackage(program: string, packageName: string, purpose: string): Promise<void> {
  if (await isInstalled(program)) {
    return;
  }
  const command = ['apt-get', 'install', '--yes', '--no-install-recommends', packageName];
  if (process.getuid?.() !== 0 || !(await isInstalled('apt-get'))) {
    throw new Error(`${program} is missing, needed ${purpose}; on Debian or Ubuntu: sudo ${command.join(' ')}`);
  }
  process.stdout.write(`installing ${packageName}, needed ${purpose}\n`);
  if ((await exitCode(command)) !== 0) {
    await exitCode(['apt-get', 'update', '--quiet']);
    if ((await exitCode(command)) !== 0) {
      throw new Error(`${packageName} could not be installed, needed ${purpose}: ${command.join(' ')}`);
    }
  }
}

async function isInstalled(program: string): Promise<boolean> {
  return promisify(execFile)('sh', ['-c', `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}

function exitCode([program = '', ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
