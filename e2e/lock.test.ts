import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lock } from './lock.ts';

function name(purpose: string): string {
  return `test-${purpose}-${process.pid}`;
}

test('the second gets the lock when the first releases it, and hears who holds it', async () => {
  const order: string[] = [];
  const first = await lock(name('order'));
  const second = lock(name('order'), (holder) => {
    order.push(`waits for ${holder}`);
    void first.release().then(() => order.push('released'));
  });
  await using _ = await second;
  expect(order[0]).toBe(`waits for ${process.pid}`);
});

test('locks of different names do not meet', async () => {
  await using _one = await lock(name('one'));
  await using _two = await lock(name('two'));
});

test('many who want it get it one after the other', async () => {
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await using _ = await lock(name('many'));
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    }),
  );
  expect(most).toBe(1);
});

test('a holder that is killed loses it', async () => {
  const script = `import { lock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    await lock(${JSON.stringify(name('killed'))}); process.stdout.write('held'); setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  await using _ = await lock(name('killed'), () => holder.kill('SIGKILL'));
  expect(holder.killed).toBe(true);
});
