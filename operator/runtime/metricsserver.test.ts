import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { answer, reset, ScriptedServer } from '../kube/testing/scripted-server.ts';
import { type Certificate, selfSigned } from './certificate.ts';
import { Metrics } from './metrics.ts';
import { MetricsServer } from './metricsserver.ts';

const log = pino({ level: 'silent' });

const serialServed = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.subject ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });

const ask = (port: number, token: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      socket.write(`GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`);
    });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('end', () => resolve(text.slice(9, 12)));
    socket.on('error', reject);
  });

it('serves a renewed certificate without a restart', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'metrics-'));
  const write = async ({ cert, key }: Certificate) => {
    await writeFile(join(directory, 'new'), key);
    await rename(join(directory, 'new'), join(directory, 'tls.key'));
    await writeFile(join(directory, 'new'), cert);
    await rename(join(directory, 'new'), join(directory, 'tls.crt'));
  };
  await write(selfSigned(['first']));
  await using api = await ScriptedServer.start();
  const { client, transport } = api.client();
  const server = new MetricsServer({
    client,
    metrics: new Metrics({ process: false }),
    log,
    port: 0,
    host: '127.0.0.1',
    certificates: directory,
  });
  const port = await server.start();
  expect(await serialServed(port)).toBe('CN=first');
  await write(selfSigned(['second']));
  await expect.poll(() => serialServed(port), { timeout: 5000 }).toBe('CN=second');
  await server.stop();
  await transport.close();
  await rm(directory, { recursive: true });
});

it('asks once a minute about a token, and again after a question that failed', async () => {
  let now = 0;
  await using api = await ScriptedServer.start();
  const yes = answer(201, { kind: 'TokenReview', status: { authenticated: true, user: { username: 'u' } } });
  const allowed = answer(201, { kind: 'SubjectAccessReview', status: { allowed: true } });
  const { client, transport } = api.client({ retries: 0 });
  const server = new MetricsServer({ client, metrics: new Metrics({ process: false }), log, port: 0, host: '127.0.0.1', now: () => now });
  const port = await server.start();
  api.scripts.push(reset, yes, allowed);
  expect(await ask(port, 't')).toBe('500');
  expect(await ask(port, 't')).toBe('200');
  expect(await ask(port, 't')).toBe('200');
  expect(api.requests).toHaveLength(3);
  now = 60_000;
  api.scripts.push(answer(201, { kind: 'TokenReview', status: { authenticated: false } }));
  expect(await ask(port, 't')).toBe('401');
  await server.stop();
  await transport.close();
});
