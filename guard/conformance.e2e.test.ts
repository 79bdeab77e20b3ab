import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { bundle, policy } from './testing/bundle.ts';
import { serveLegacy } from './testing/everything/legacy.ts';
import { serveModern } from './testing/everything/modern.ts';
import { runGuard } from './testing/running.ts';
import { conformance, differences } from './testing/suite.ts';

/**
 * The official conformance suite, directly at the server and through the guard: every check must come out alike. Servers of both SDK
 * lines are protected against DNS rebinding, as real ones are.
 */

const stopping: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of stopping.toReversed()) await stop();
});

/** An allow-all policy makes the guard filter, decide and audit everything without a reason to change anything. */
const allowing = bundle({ policies: [policy({ methods: { ...policy().methods, unknown: 'Allow' } })] });

describe.each([
  ['2025-11-25', 'a server on SDK v1', serveLegacy, 80],
  ['2026-07-28', 'a server on SDK v2', serveModern, 150],
] as const)('requirements %s', (requirements, what, serve, least) => {
  test(`${what} is the same directly and through the guard, without and with a policy`, async () => {
    const server = await serve();
    stopping.push(server.stop);
    const direct = await conformance(server.url, requirements);
    expect(direct.size).toBeGreaterThan(least);
    for (const policies of [bundle(), allowing]) {
      const guard = await runGuard({ upstream: server.url, bundle: policies });
      stopping.push(guard.stop);
      const guarded = await conformance(guard.url.replace('127.0.0.1', 'localhost'), requirements);
      expect(differences(direct, guarded)).toEqual([]);
    }
  });
});

test('a guard that drops progress is found out', async () => {
  const server = await serveLegacy();
  stopping.push(server.stop);
  const broken = await brokenGuard(server.url);
  stopping.push(broken.stop);
  const direct = await conformance(server.url, '2025-11-25');
  const through = await conformance(broken.url, '2025-11-25');
  expect(differences(direct, through)).toContainEqual(expect.stringContaining('progress'));
});

/** A proxy with a fault that proxies really have: it loses progress notifications. */
async function brokenGuard(upstream: string): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const target = new URL(upstream);
  const http = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, host: target.host, 'accept-encoding': 'identity' };
    const forwarded = request(target, { method: incoming.method ?? 'GET', headers }, (response) => {
      const { 'content-length': _, 'transfer-encoding': __, ...rest } = response.headers;
      outgoing.writeHead(response.statusCode ?? 502, rest);
      outgoing.flushHeaders();
      response.on('data', (chunk: Buffer) => {
        if (!chunk.includes('notifications/progress')) outgoing.write(chunk);
      });
      response.on('end', () => outgoing.end());
    });
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  return {
    url: `http://localhost:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`,
    stop: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
