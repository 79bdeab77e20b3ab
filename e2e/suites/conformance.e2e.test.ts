import { beforeAll, afterAll, describe, expect, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { type Checks, differences, type Requirements } from '../../guard/testing/suite.ts';
import { type InClientPod, clientPod } from '../clientpod.ts';
import { Fleet } from '../fleet.ts';
import { INSPECTOR } from '../images/clients.ts';
import type { Era, Outcome } from '../images/clients/outcome.ts';
import { CONFORMANCE_SERVER_IMAGE } from '../images/servers.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { brokenGuard } from '../brokenguard.ts';

/**
 * Real pods, called from a pod by the names of their Services: the official conformance suite and the official clients, directly at servers
 * of the official SDKs and through their guards. A policy that allows everything has the guards filter, decide and audit.
 */

let fleet: Fleet;
let kubectl: Kubectl;
let namespace: string;
let typescript: InClientPod;
let python: InClientPod;

const host = (server: string): string => `${server}.${namespace}.svc`;
const url = (server: string): string => `http://${host(server)}/mcp`;

const runs = (program: string, more: Partial<MCPServerSpecInput>): MCPServerSpecInput => ({
  container: { image: CONFORMANCE_SERVER_IMAGE, imagePullPolicy: 'IfNotPresent', command: ['node', '/app/main.mjs'], args: [program] },
  resources: { requests: { cpu: '10m' } },
  guard: { enabled: true },
  // A process for each session takes its time to start on a machine that runs eight servers more.
  verification: { timeout: '30s' },
  ...more,
});
/** Known by its Service's names, as whoever serves without a guard has to arrange for. */
const direct = (program: string, name: string): MCPServerSpecInput =>
  runs(program, {
    guard: { enabled: false },
    env: [
      { name: 'ADDRESS', value: '0.0.0.0' },
      { name: 'ALLOWED_HOSTS', value: [host(name), `${host(name)}.cluster.local`].join(',') },
    ],
  });
const stdio = (program: string, processes: 'Shared' | 'PerSession'): MCPServerSpecInput =>
  runs(program, { transport: { type: 'Stdio' }, stdio: { processes } });

const servers = (): Readonly<Record<string, MCPServerSpecInput>> => ({
  'v1-direct': direct('v1', 'v1-direct'),
  'v2-direct': direct('v2', 'v2-direct'),
  v1: runs('v1', { transport: { bind: 'Loopback' } }),
  v2: runs('v2', { transport: { bind: 'Loopback' } }),
  'stdio-shared': stdio('stdio-v1', 'Shared'),
  'stdio-own': stdio('stdio-v1', 'PerSession'),
  'stdio-v2': stdio('stdio-v2', 'Shared'),
  events: runs('events', { transport: { type: 'SSE', bind: 'Loopback' } }),
});

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
  namespace = await fleet.namespace();
  const all = Object.entries(servers());
  const guarded = all.filter(([, spec]) => spec.guard?.enabled === true);
  const policy = {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPToolPolicy',
    metadata: { name: 'everything', namespace },
    spec: {
      targetRefs: guarded.map(([name]) => ({ name })),
      defaultAction: 'Allow',
      methods: { unknown: 'Allow', serverRequests: { elicitation: 'Allow', sampling: 'Allow', roots: 'Allow' } },
    },
  };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  for (const [name, spec] of all) await fleet.apply(namespace, name, spec);
  [typescript, python] = await Promise.all([clientPod(kubectl, namespace, 'typescript'), clientPod(kubectl, namespace, 'python')]);
  for (const [name] of all) await fleet.ready(namespace, name, 180);
  for (const [name] of guarded) await fleet.until(namespace, name, 'PolicyApplied', { status: 'True', reason: 'Applied' });
}, 400_000);

afterAll(() => fleet[Symbol.asyncDispose]());

async function conformance(server: string, requirements: Requirements): Promise<Checks> {
  return new Map(JSON.parse(await typescript(['node', 'suite.mjs', url(server), requirements])) as [string, string][]);
}

/** What the servers come to without a guard, each measured once. */
const measured = new Map<string, Promise<Checks>>();
function directly(server: string, requirements: Requirements): Promise<Checks> {
  const key = `${server} ${requirements}`;
  const found = measured.get(key) ?? conformance(server, requirements);
  measured.set(key, found);
  return found;
}

describe('the official conformance suite', { concurrent: false }, () => {
  test.each([
    ['a server on SDK v1', 'v1', '2025-11-25', 80],
    ['a server on SDK v2', 'v2', '2026-07-28', 150],
    ['a server on SDK v2, asked in the other era', 'v2', '2025-11-25', 50],
  ] as const)('%s (%s), requirements %s: every check comes out alike', async (_what, server, requirements, least) => {
    const without = await directly(`${server}-direct`, requirements);
    expect(without.size).toBeGreaterThan(least);
    expect(differences(without, await conformance(server, requirements))).toEqual([]);
  });

  test('a server on SDK v1 (v1), asked in the other era: no check comes out worse', async () => {
    const through = await conformance('v1', '2026-07-28');
    // What only a guard of the other era gets right: it refuses in the words of the era in which it is asked.
    const better = /: (?:FAILURE|WARNING) → (?:SUCCESS|absent)$/;
    expect(differences(await directly('v1-direct', '2026-07-28'), through).filter((line) => !better.test(line))).toEqual([]);
  });

  // Over stdio there is no stream to be resumed, and so no event ids; and an answer without anything before it is plain JSON.
  const ofTransport = /server-sse-polling|server-sse-streams-functional: SUCCESS → INFO/;

  test.each([
    ['a stdio server on SDK v1, one process for all', 'stdio-shared', 'v1-direct', '2025-11-25'],
    ['a stdio server on SDK v1, a process for each session', 'stdio-own', 'v1-direct', '2025-11-25'],
    ['a stdio server on SDK v2', 'stdio-v2', 'v2-direct', '2026-07-28'],
    ['a server of the HTTP+SSE of 2024-11-05', 'events', 'v1-direct', '2025-11-25'],
  ] as const)('%s (%s) is like the same server over HTTP (%s), requirements %s', async (_what, server, same, requirements) => {
    const through = await conformance(server, requirements);
    expect(differences(await directly(same, requirements), through).filter((line) => !ofTransport.test(line))).toEqual([]);
  });

  test('a broken guard is found out', async () => {
    await brokenGuard(kubectl, namespace, 'v1', 'broken');
    const found = differences(await directly('v1-direct', '2025-11-25'), await conformance('broken', '2025-11-25'));
    expect(found).toContainEqual(expect.stringContaining('progress'));
  });
});

describe('official clients', { concurrent: false }, () => {
  const text = {
    legacy: 'Elicitation completed: action=accept, content={"username":"ann","email":"ann"}',
    modern: 'complete: {"user_name":',
  };
  const expected = (era: Era): unknown => ({
    tools: expect.any(Number),
    call: 'This is a simple text response for testing.',
    progress: [0, 50, 100],
    cancelled: 'true',
    resource: JSON.stringify({ id: '7', templateTest: true, data: 'Data for ID: 7' }),
    prompt: "Prompt with arguments: arg1='a', arg2='b'",
    elicitation: expect.stringContaining(text[era]),
    sampling: expect.stringContaining('"text":"sampled"'),
    unknown: '-32602',
  });
  const CLIENTS: Readonly<Record<string, (server: string, era: Era) => Promise<string>>> = {
    'TypeScript v1': (server) => typescript(['node', 'typescript-v1.mjs', url(server)]),
    'TypeScript v2': (server, era) => typescript(['node', 'typescript-v2.mjs', url(server), era]),
    Python: (server, era) => python(['python3', '/app/client.py', url(server), era]),
  };

  test.each([
    ['TypeScript v1', 'legacy', 'v1-direct', 'v1'],
    ['TypeScript v2', 'legacy', 'v1-direct', 'v1'],
    ['TypeScript v2', 'modern', 'v2-direct', 'v2'],
    ['Python', 'legacy', 'v1-direct', 'v1'],
    ['Python', 'modern', 'v2-direct', 'v2'],
    ['TypeScript v1', 'legacy', 'v1-direct', 'stdio-own'],
    ['TypeScript v2', 'modern', 'v2-direct', 'stdio-v2'],
    ['Python', 'legacy', 'v1-direct', 'events'],
  ] as const)('%s, %s era: the same from %s as from %s', async (client, era, without, server) => {
    const outcome = async (of: string): Promise<Outcome> => JSON.parse((await CLIENTS[client]?.(of, era)) ?? '') as Outcome;
    const guarded = await outcome(server);
    expect(guarded).toEqual(expected(era));
    expect(guarded).toEqual(await outcome(without));
  });

  test.each([
    ['legacy', 'v1-direct', 'v1'],
    ['modern', 'v2-direct', 'v2'],
  ] as const)('the inspector, %s era: the same from %s as from %s', async (era, without, server) => {
    const inspect = async (of: string, ...args: readonly string[]): Promise<unknown> =>
      JSON.parse(await typescript(['node', INSPECTOR, url(of), '--transport', 'http', '--protocol-era', era, '--method', ...args]));
    for (const args of [
      ['tools/list'],
      ['tools/call', '--tool-name', 'test_multiple_content_types'],
      ['resources/list'],
      ['resources/read', '--uri', 'test://static-binary'],
      ['prompts/list'],
      ['prompts/get', '--prompt-name', 'test_prompt_with_arguments', '--prompt-args', 'arg1=a', 'arg2=b'],
    ]) {
      const [guarded, direct] = await Promise.all([server, without].map((of) => inspect(of, ...args)));
      expect(Object.keys(guarded as object)).not.toEqual([]);
      expect(guarded).toEqual(direct);
    }
  });
});
