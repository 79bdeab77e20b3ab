import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { gone, identify, isAlive, signal } from './process.ts';

test('a process is known by its start, and gone when it was killed', async () => {
  const child = spawn('sleep', ['1000']);
  await once(child, 'spawn');
  const identity = identify(child.pid ?? 0);
  expect(identity).toBeDefined();
  if (identity !== undefined) {
    expect(isAlive(identity)).toBe(true);
    expect(isAlive({ ...identity, started: 'another time' })).toBe(false);
    expect(signal({ ...identity, started: 'another time' }, 'SIGKILL')).toBe(false);
    expect(signal(identity, 'SIGKILL')).toBe(true);
    expect(await gone(identity, 5_000)).toBe(true);
  }
});
