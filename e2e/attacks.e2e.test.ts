import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKS, aimed, bytesOf, CALL, exchange } from '../guard/testing/attacks.ts';
import { bundle, policy } from '../guard/testing/bundle.ts';
import { freePort } from '../guard/testing/pods.ts';
import { firstKeyReader, foldingReader, nulReader } from '../guard/testing/readers.ts';
import type { RunningGuard } from '../guard/testing/running.ts';
import { eventually, runGuard } from '../guard/testing/running.ts';
import { goArchitecture } from './images/archive.ts';
import { NODE } from './images/machine.ts';
import { CONTENT, installedPackages } from './images/packages.ts';

/**
 * The attack corpus against servers that people run: server-everything (TypeScript, from npm) and kubernetes-mcp-server (Go). What reaches them is written down on the
 * way by a relay that reads nothing, and every reader's view of it counts.
 */

interface Subject {
  readonly command: (modules: string, port: number, directory: string) => readonly string[];
  readonly allowed: string;
  /** What the attacker wants, and words that only its answer has. */
  readonly denied: string;
  readonly loot: RegExp;
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'server-everything': {
    command: (modules) => [NODE, join(modules, '@modelcontextprotocol/server-everything/dist/index.js'), 'streamableHttp'],
    allowed: 'echo',
    denied: 'get-env',
    loot: /\bPATH\b/,
  },
  'kubernetes-mcp-server': {
    command: (modules, port, directory) => {
      const program = `kubernetes-mcp-server-linux-${goArchitecture()}`;
      const kubeconfig = join(directory, 'kubeconfig');
      writeFileSync(kubeconfig, KUBECONFIG);
      return [join(modules, program, 'bin', program), '--port', String(port), '--kubeconfig', kubeconfig];
    },
    allowed: 'configuration_view',
    denied: 'pods_delete',
    loot: /failed to delete|connection refused/,
  },
};

/** A cluster that is not there: tools run, and say so. */
const KUBECONFIG = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'none', user: { token: 'x' } }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
  'current-context': 'none',
});

/** Passes requests on and keeps their bodies. */
async function recorder(port: number, bodies: string[]): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      bodies.push(body.toString());
      const { host: _, connection: __, 'transfer-encoding': ___, 'content-length': ____, ...headers } = request.headers;
      void fetch(`http://127.0.0.1:${port}${request.url}`, {
        method: request.method ?? 'POST',
        headers: headers as Record<string, string>,
        ...(body.length === 0 ? {} : { body }),
      }).then(
        async (answer) => {
          response.writeHead(answer.status, Object.fromEntries(answer.headers));
          for await (const chunk of answer.body ?? []) response.write(chunk);
          response.end();
        },
        () => response.destroy(),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe.each(Object.entries(SUBJECTS))('%s never runs what is forbidden', (_name, { command, allowed, denied, loot }) => {
  const directory = mkdtempSync(join(tmpdir(), 'attacks-'));
  const bodies: string[] = [];
  let child: ChildProcess;
  let relay: Server;
  let guard: RunningGuard;
  let session = '';
  const call = CALL.replace('"list"', `"${allowed}"`).replace('{}', '{"message":"hello"}');

  beforeAll(async () => {
    const port = await freePort();
    const [program = '', ...args] = command(await installedPackages(CONTENT), port, directory);
    child = spawn(program, args, { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
    relay = await recorder(port, bodies);
    const address = relay.address();
    const rules = [{ name: 'never', effect: 'Deny', tools: [denied], arguments: [] } as const];
    guard = await runGuard({
      upstream: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/mcp`,
      bundle: bundle({ policies: [policy({ rules })] }),
      flags: ['--verification-interval', '1'],
    });
    await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed', 60_000);
    const client = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'attacker', version: '1' } };
    const begun = await fetch(guard.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: client }),
    });
    session = `Mcp-Session-Id: ${begun.headers.get('mcp-session-id')}\r\n`;
    await begun.text();
  });
  afterAll(async () => {
    await guard.stop();
    relay.closeAllConnections();
    relay.close();
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  const runs = async (): Promise<void> => {
    bodies.length = 0;
    await exchange(guard.ports.data, bytesOf({ name: 'allowed', body: call }, session));
    await eventually(() => bodies.includes(call), 'the allowed call arrived');
  };
  test('while what is allowed does run', runs);

  test.each(ATTACKS.map((attack) => [attack.name, aimed(attack, allowed, denied)] as const))('%s', async (_attack, attack) => {
    bodies.length = 0;
    const answer = await exchange(guard.ports.data, bytesOf(attack, attack.head?.includes('Mcp-Method') === true ? '' : session));
    expect(answer).not.toMatch(loot);
    for (const body of bodies) {
      const readings = [JSON.parse(body || '{}'), firstKeyReader(body || '{}'), foldingReader(body || '{}'), nulReader(body || '{}')];
      for (const reading of readings) expect(JSON.stringify(reading)).not.toMatch(new RegExp(denied.slice(0, 6)));
    }
  });

  test('and what is allowed runs still', runs);
});
