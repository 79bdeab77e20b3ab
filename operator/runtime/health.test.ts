import { expect, it, vi } from 'vitest';
import { type Check, HealthServer, loopCheck } from './health.ts';

it('answers probes with the checks that fail', async () => {
  let problem: string | undefined = 'waiting for pods';
  const ready: Record<string, Check> = { caches: () => problem, other: () => undefined };
  const server = new HealthServer({ port: 0, host: '127.0.0.1', live: {}, ready });
  const port = await server.start();
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${await response.text()}`;
  };
  expect(await get('/healthz')).toBe('200 ok\n');
  expect(await get('/readyz')).toBe('503 [-]caches failed: waiting for pods\nfailed\n');
  problem = undefined;
  expect(await get('/readyz')).toBe('200 ok\n');
  expect(await get('/readyz?verbose')).toBe('200 [+]caches ok\n[+]other ok\nok\n');
  expect(await get('/else')).toMatch(/^404/);
  await server.stop();
});

it('notices that the event loop was blocked for ten seconds', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  let now = 0;
  const { check, stop } = loopCheck(10_000, () => now);
  now = 11_000;
  expect(check()).toBeUndefined();
  now = 12_001;
  expect(check()).toMatch(/blocked for 11 s/);
  vi.advanceTimersByTime(1000);
  expect(check()).toBeUndefined();
  stop();
  vi.useRealTimers();
});
