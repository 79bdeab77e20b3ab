import { Client as MCPClient, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromManifests } from '../cli/manifests.ts';
import { run } from '../cli/program.ts';
import { capture } from '../cli/testing/capture.ts';
import { eventually, runGuard } from '../guard/testing/running.ts';
import { legacyServer, type SdkServer } from '../mcp/testing/sdk-servers.ts';
import { ROOT } from '../scripts/sources.ts';

const tool = (name: string, annotations?: object) => ({
  name,
  inputSchema: { type: 'object' as const },
  ...(annotations && { annotations }),
});
/** Some of the tools that the examples speak of, of every class. */
const tools = [
  tool('pods_list', { readOnlyHint: true }),
  tool('pods_log', { readOnlyHint: true }),
  tool('pods_delete', { destructiveHint: true }),
  tool('echo', { readOnlyHint: true, destructiveHint: false }),
  tool('get-env', { readOnlyHint: true }),
  tool('scale', { destructiveHint: false }),
  tool('silent'),
];
const argumentSets = [{}, { tail: 100 }, { tail: 101 }, { tail: '5' }, { tail: null }, { tail: [5] }];
const apiKeys = { alice: 'not-a-real-key-of-alice-0123456789', bob: 'not-a-real-key-of-bob-0123456789abc' };

const team = `
apiVersion: mcp-fleet.dev/v1alpha1
kind: MCPServer
metadata: {name: everything, namespace: team-a}
spec: {container: {image: "example.com/everything:1"}}
---
apiVersion: mcp-fleet.dev/v1alpha1
kind: MCPToolPolicy
metadata: {name: own, namespace: team-a}
spec: {selector: {}, defaultAction: Deny, rules: [{name: some, effect: Allow, tools: ["pods_*", silent]}]}
`;

let server: SdkServer;
let folder: string;
beforeAll(async () => {
  server = await legacyServer({ tools });
  folder = await mkdtemp(join(tmpdir(), 'explained-'));
  await writeFile(join(folder, 'tools.json'), JSON.stringify({ tools }));
  await writeFile(join(folder, 'team.yaml'), team);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test.each<[file: string, server: string, namespace: string, subjects: readonly string[]]>([
  ['read-only.yaml', 'kubernetes', 'agents', ['anonymous']],
  ['on-call.yaml', 'kubernetes', 'agents', ['user:alice', 'user:bob', 'anonymous']],
  ['platform.yaml', 'everything', 'team-a', ['anonymous']],
  ['audit-first.yaml', 'everything', 'agents', ['anonymous']],
  ['stdio-with-secret.yaml', 'tickets', 'agents', ['anonymous']],
])('explain says of %s what the guard does, for every tool, caller and argument', async (file, name, namespace, subjects) => {
  const files = [join(ROOT, 'examples/policies', file), ...(file === 'platform.yaml' ? [join(folder, 'team.yaml')] : [])];
  const inventory = join(folder, 'tools.json');
  const options = {
    files,
    inventory,
    namespace,
    server: name,
    operatorNamespace: 'mcp-fleet-system',
    ambient: 'Allow',
    now: Date.now(),
  } as const;
  const { bundle } = await fromManifests(options);
  const guard = await runGuard({ upstream: server.url.href, bundle, apiKeys });
  try {
    await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed', 60_000);
    const explain = async (...argv: string[]): Promise<number> => {
      const { environment } = capture({ now: new Date().toISOString() });
      const from = [...files.flatMap((path) => ['-f', path]), '--inventory', inventory, '-n', namespace];
      return run(environment, 'mcp-fleet', 'test', ['explain', name, ...from, ...argv]);
    };
    const said: Record<string, number> = { allowed: 0, refused: 0 };
    for (const as of subjects) {
      const key = apiKeys[as.replace('user:', '') as keyof typeof apiKeys];
      const client = await connected(guard.url, key);
      for (const { name: called } of [...tools, tool('no_such_tool')]) {
        const outcomes: number[] = [];
        for (const args of argumentSets) {
          const refused = client === undefined || (await isRefused(client, called, args));
          const code = await explain('--tool', called, '--as', as, '--args', JSON.stringify(args));
          expect(code, `${called} ${JSON.stringify(args)} by ${as}`).toBe(refused ? 8 : 0);
          outcomes.push(code);
          said[refused ? 'refused' : 'allowed'] = (said[refused ? 'refused' : 'allowed'] ?? 0) + 1;
        }
        const whatever = await explain('--tool', called, '--as', as);
        if (whatever !== 9) expect(new Set(outcomes)).toEqual(new Set([whatever]));
        else expect(new Set(outcomes).size).toBe(2);
      }
      await client?.close();
    }
    // What is only audited refuses nothing.
    expect([said['allowed'] !== 0, said['refused'] !== 0]).toEqual([true, file !== 'audit-first.yaml']);
  } finally {
    await guard.stop();
  }
});

/** `undefined` where nobody comes in. */
async function connected(url: string, key: string | undefined): Promise<MCPClient | undefined> {
  const client = new MCPClient({ name: 'test', version: '1' });
  const headers = key === undefined ? {} : { 'x-api-key': key };
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
  } catch (error) {
    expect(String(error)).toMatch(/401|Unauthorized/i);
    return undefined;
  }
}

async function isRefused(client: MCPClient, name: string, args: Record<string, unknown>): Promise<boolean> {
  try {
    const { _meta } = await client.callTool({ name, arguments: args });
    return _meta?.['mcp-fleet.dev/denied'] !== undefined;
  } catch (error) {
    if (error instanceof ProtocolError && error.code === -32602) return true;
    throw error;
  }
}
