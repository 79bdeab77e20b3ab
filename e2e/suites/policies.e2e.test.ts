import { Client as MCPClient, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, test, type TestContext } from 'vitest';
import { ROOT } from '../../scripts/sources.ts';
import { type Outcome, typed } from '../commandline.ts';
import { EVERYTHING_PUBLISHED } from '../images/servers.ts';
import { faulty, Fleet } from '../fleet.ts';
import { numbered } from '../images/faulty/behaviour.ts';
import { kubectlFor } from '../kubectl.ts';

const EXAMPLES = join(ROOT, 'examples/policies');
/** Exercised by authentication.e2e.test.ts, which has an identity provider. */
const ELSEWHERE = ['teams-by-group.yaml', 'teams-by-service-account.yaml'];

/** A caller as the guard knows it, and how it makes itself known. */
interface Subject {
  readonly as: string;
  readonly headers?: Readonly<Record<string, string>>;
}
const anonymous: Subject = { as: 'anonymous' };

/** What a call came to: a policy's refusal, or whatever the server made of it. */
interface Called {
  readonly refused: boolean;
  /** Of a refusal that says why. */
  readonly denied?: { readonly code: string; readonly rule?: string; readonly requestId: string };
  readonly text: string;
}

interface Scene {
  readonly fleet: Fleet;
  readonly namespace: string;
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  readonly type: (...argv: string[]) => Promise<Outcome>;
  readonly call: (server: string, subject: Subject, tool: string, args: Readonly<Record<string, unknown>>) => Promise<Called>;
  readonly listed: (server: string, subject: Subject) => Promise<string[]>;
}

/** A namespace in which an example is applied and its server runs. */
async function scene(context: TestContext, file: string, server: string, namespaceName?: string): Promise<Scene> {
  const { onTestFinished } = context;
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const namespace = namespaceName ?? (await fleet.namespace());
  if (namespaceName === undefined) await kubectl(['apply', '--server-side', '-n', namespace, '-f', join(EXAMPLES, file)]);
  await fleet.ready(namespace, server, 150);
  const connected = async (name: string, { headers = {} }: Subject): Promise<MCPClient> => {
    const client = new MCPClient({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(await fleet.url(namespace, name), { requestInit: { headers: { ...headers } } }));
    return client;
  };
  return {
    fleet,
    namespace,
    kubectl,
    type: (...argv) => typed(inject('kubeconfig'), ...argv, '-n', namespace),
    call: async (name, subject, tool, args) => {
      const client = await connected(name, subject);
      try {
        const { content, _meta } = await client.callTool({ name: tool, arguments: { ...args } });
        const denied = _meta?.['mcp-fleet.dev/denied'] as Called['denied'];
        const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
        return { refused: denied !== undefined, text, ...(denied === undefined ? {} : { denied }) };
      } catch (error) {
        if (error instanceof ProtocolError && error.code === -32602) return { refused: true, text: error.message };
        throw error;
      } finally {
        await client.close();
      }
    },
    listed: async (name, subject) => {
      const client = await connected(name, subject);
      try {
        return (await client.listTools()).tools.map((tool) => tool.name).toSorted();
      } finally {
        await client.close();
      }
    },
  };
}

/** The guard and `mcp-fleet explain` must say the same of a call. Returns what the guard said. */
async function agreed(
  { type, call }: Scene,
  server: string,
  subject: Subject,
  tool: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<Called> {
  const called = await call(server, subject, tool, args);
  const explained = await type('explain', server, '--tool', tool, '--as', subject.as, '--args', JSON.stringify(args), '-o', 'json');
  expect(explained, `${tool} by ${subject.as}`).toMatchObject({ code: called.refused ? 8 : 0, err: '' });
  const { decision } = JSON.parse(explained.out) as { decision: { code: string; rule?: string } };
  if (called.denied !== undefined)
    expect({ code: decision.code, rule: decision.rule }).toEqual({ code: called.denied.code, rule: called.denied.rule });
  return called;
}

/** The guard lists exactly what `mcp-fleet explain` says is listed, tool by tool. */
async function listsAgree({ type, listed }: Scene, server: string, subject: Subject): Promise<string[]> {
  const { out } = await type('explain', server, '--as', subject.as, '-o', 'json');
  const all = JSON.parse(out) as { object: { name: string }; listed?: boolean }[];
  const shown = await listed(server, subject);
  expect(
    all
      .filter((each) => each.listed === true)
      .map(({ object }) => object.name)
      .toSorted(),
  ).toEqual(shown);
  expect(all.length).toBeGreaterThan(5);
  return shown;
}

test('every example with a policy is exercised', async () => {
  const exercised = ['read-only.yaml', 'on-call.yaml', 'platform.yaml', 'audit-first.yaml', 'stdio-with-secret.yaml', ...ELSEWHERE];
  expect((await readdir(EXAMPLES)).toSorted()).toEqual(expect.arrayContaining(exercised.filter((file) => !ELSEWHERE.includes(file))));
  expect((await readdir(EXAMPLES)).filter((file) => !exercised.includes(file))).toEqual([]);
});

test.concurrent('read-only.yaml: nothing but reading, and explain says the same of every tool', async (context) => {
  const place = await scene(context, 'read-only.yaml', 'kubernetes');
  const { namespace } = place;
  const shown = await listsAgree(place, 'kubernetes', anonymous);
  expect(shown).toContain('pods_list_in_namespace');
  expect(shown).not.toContain('pods_delete');
  expect((await agreed(place, 'kubernetes', anonymous, 'pods_list_in_namespace', { namespace })).text).toMatch(/kubernetes-/);
  expect(await agreed(place, 'kubernetes', anonymous, 'pods_delete', { name: 'x', namespace })).toMatchObject({ refused: true });
  expect(await agreed(place, 'kubernetes', anonymous, 'no_such_tool')).toMatchObject({ refused: true });
  const { out } = await place.type('explain', 'kubernetes', '--tool', 'pods_delete');
  expect(out).toMatch(/policy \S+\/read-only \(generation 1\) allows at most ReadOnly/);
  expect(out).toMatch(/in force in 1 of 1 guards/);
});

test.concurrent('on-call.yaml: one person, certain arguments, for some time', async (context) => {
  const place = await scene(context, 'on-call.yaml', 'kubernetes');
  const { namespace, kubectl, fleet, type } = place;
  const alice = { as: 'user:alice', headers: { 'x-api-key': 'not-a-real-key-of-alice-0123456789' } };
  const bob = { as: 'user:bob', headers: { 'x-api-key': 'not-a-real-key-of-bob-0123456789abc' } };
  expect(await listsAgree(place, 'kubernetes', alice)).toContain('pods_log');
  expect(await listsAgree(place, 'kubernetes', bob)).not.toContain('pods_log');
  const [pod] = await fleet.pods(namespace, 'kubernetes');
  const log = (tail: number) => ({ name: pod?.metadata.name ?? '', namespace, container: 'server', tail });
  for (const subject of [alice, bob]) {
    expect((await agreed(place, 'kubernetes', subject, 'pods_list_in_namespace', { namespace })).text).toMatch(/kubernetes-/);
    await agreed(place, 'kubernetes', subject, 'pods_log', log(1000));
    await agreed(place, 'kubernetes', subject, 'configuration_view');
  }
  expect(await agreed(place, 'kubernetes', alice, 'pods_log', log(5))).toMatchObject({ refused: false, text: expect.stringMatching(/\S/) });
  expect(await agreed(place, 'kubernetes', bob, 'pods_log', log(5))).toMatchObject({ refused: true });
  expect(await type('explain', 'kubernetes', '--tool', 'pods_log', '--as', 'user:alice')).toMatchObject({
    code: 9,
    out: expect.stringContaining('matches if /tail Between 1 and 100'),
  });

  // Nobody without a key comes in, and explain says so, too.
  expect(await type('explain', 'kubernetes', '--tool', 'pods_get')).toMatchObject({
    code: 8,
    out: expect.stringContaining('a credential is required'),
  });
  await expect(place.call('kubernetes', anonymous, 'pods_get', {})).rejects.toThrow();

  // The record of a refusal is found by the id that the caller was given.
  const refusal = await place.call('kubernetes', alice, 'pods_log', log(1000));
  expect(refusal).toMatchObject({ denied: { code: 'ARGUMENT', rule: 'on-call' }, text: expect.stringContaining('at most 100 lines') });
  const found = await fleet.eventually(
    () => type('explain', '--request', refusal.denied?.requestId ?? '', '--args', JSON.stringify(log(1000))),
    ({ code }) => code !== 3,
    20,
  );
  expect(found).toMatchObject({ code: 8, err: '' });
  expect(found.out).toMatch(/^deny \(ARGUMENT\): tools\/call pods_log$/m);
  expect(found.out).toMatch(/Caller +apiKey alice/);
  expect(found.out).toContain('rule on-call of policy');

  // The exception ends by itself.
  const past = [{ op: 'replace', path: '/spec/rules/1/notAfter', value: '2026-01-01T00:00:00Z' }];
  await kubectl(['patch', 'mcptp', 'on-call', '-n', namespace, '--type=json', '-p', JSON.stringify(past)]);
  await fleet.eventually(
    () => place.call('kubernetes', alice, 'pods_log', log(5)),
    ({ refused }) => refused,
    30,
  );
  await agreed(place, 'kubernetes', alice, 'pods_log', log(5));
  expect((await type('explain', 'kubernetes', '--tool', 'pods_log', '--as', 'user:alice')).out).toMatch(/on-call +Allow +has expired/);
});

test.concurrent('platform.yaml: what teams allow stays below the floor', async (context) => {
  const { onTestFinished } = context;
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const team = `team-${randomBytes(4).toString('hex')}`;
  await kubectl(['create', 'namespace', team]);
  onTestFinished(async () => void (await kubectl(['delete', 'namespace', team, '--wait=false'])));
  await kubectl(['apply', '--server-side', '-n', 'mcp-fleet-system', '-f', join(EXAMPLES, 'platform.yaml')]);
  onTestFinished(async () => void (await kubectl(['delete', '-n', 'mcp-fleet-system', '-f', join(EXAMPLES, 'platform.yaml')])));
  const allowAll = { metadata: { name: 'all', namespace: team }, spec: { selector: {}, defaultAction: 'Allow' } };
  await kubectl(
    ['apply', '--server-side', '-f', '-'],
    JSON.stringify({ apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', ...allowAll }),
  );
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  await fleet.apply(team, 'everything', {
    container: { image: EVERYTHING_PUBLISHED, imagePullPolicy: 'IfNotPresent', command: ['node', 'dist/index.js', 'streamableHttp'] },
    transport: { port: 3001 },
    guard: { enabled: true },
  });
  const place = await scene(context, 'platform.yaml', 'everything', team);
  await fleet.until(team, 'everything', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const shown = await listsAgree(place, 'everything', anonymous);
  expect(shown).toContain('echo');
  const { out } = await place.type('explain', 'everything', '-o', 'json');
  const answers = JSON.parse(out) as { object: { name: string }; answer: string; decision: { code: string; policy: string } }[];
  const refused = answers.filter(({ answer }) => answer === 'refused');
  expect(refused.map(({ decision: { code, policy } }) => `${code} ${policy}`)).toEqual(refused.map(() => 'CLASS mcp-fleet-system/teams'));
  for (const { object } of refused.slice(0, 3))
    expect(await agreed(place, 'everything', anonymous, object.name)).toMatchObject({ refused: true });
  expect((await agreed(place, 'everything', anonymous, 'echo', { message: 'hello' })).text).toContain('hello');
  expect(await place.type('explain', 'everything', '--method', 'sampling/createMessage')).toMatchObject({ code: 8 });
});

test.concurrent('audit-first.yaml: nothing is refused, what would be is known, and then it is', async (context) => {
  const place = await scene(context, 'audit-first.yaml', 'everything');
  const { namespace, kubectl, fleet, type } = place;
  const before = await listsAgree(place, 'everything', anonymous);
  expect((await agreed(place, 'everything', anonymous, 'echo', { message: 'hello' })).text).toContain('hello');
  expect(await agreed(place, 'everything', anonymous, 'get-env')).toMatchObject({ refused: false });
  expect((await type('explain', 'everything', '--tool', 'get-env')).out).toMatch(
    /Audit +if .* it would be refused by \S+\/everything \(NOT_ALLOWED\)/,
  );
  expect((await type('explain', 'everything', '--tool', 'echo')).out).not.toContain('Audit  ');
  const records = await fleet.eventually(
    () => type('logs', 'everything', '-c', 'guard'),
    ({ out }) => out.includes('"wouldDeny"'),
    20,
  );
  const would = records.out
    .split('\n')
    .filter((line) => line.includes('"wouldDeny"'))
    .map((line) => (JSON.parse(line) as { audit: { object: { name: string } } }).audit.object.name);
  expect(new Set(would)).toEqual(new Set(['get-env']));

  await kubectl(['patch', 'mcptp', 'everything', '-n', namespace, '--type=json', '-p', '[{"op": "remove", "path": "/spec/mode"}]']);
  await fleet.eventually(
    () => place.listed('everything', anonymous),
    (names) => names.length < before.length,
    30,
  );
  expect(await listsAgree(place, 'everything', anonymous)).toEqual(['echo', 'get-sum']);
  expect(await agreed(place, 'everything', anonymous, 'get-env')).toMatchObject({ refused: true });
});

test.concurrent('stdio-with-secret.yaml: the server has the Secret, and nobody gets it', async (context) => {
  const place = await scene(context, 'stdio-with-secret.yaml', 'tickets');
  const shown = await listsAgree(place, 'tickets', anonymous);
  expect(shown).toContain('echo');
  expect(shown).not.toContain('get-env');
  expect((await agreed(place, 'tickets', anonymous, 'echo', { message: 'hello' })).text).toContain('hello');
  const refused = await agreed(place, 'tickets', anonymous, 'get-env');
  expect(refused.refused).toBe(true);
  expect(refused.text).not.toContain('not-a-real-token');
  expect(await place.kubectl(['get', 'pods', '-n', place.namespace, '-o', 'yaml'])).not.toContain('not-a-real-token');
});

test.concurrent('a tool that changed is shown, refused, approved by the command, and answers again', async (context) => {
  await using fleet = await Fleet.of(inject('kubeconfig'));
  const namespace = await fleet.namespace();
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const block = { metadata: { name: 'block', namespace }, spec: { selector: {}, defaultAction: 'Allow', pinning: 'Block' } };
  await kubectl(
    ['apply', '--server-side', '-f', '-'],
    JSON.stringify({ apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', ...block }),
  );
  await fleet.apply(namespace, 'server', faulty(['--tools', '2'], { verification: { interval: '30s' } }));
  const place = await scene(context, 'none', 'server', namespace);
  await fleet.until(namespace, 'server', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  expect((await place.type('tools', 'approve', 'server')).out).toBe('Nothing to approve: what server lists is trusted as it is.\n');
  expect(await agreed(place, 'server', anonymous, 'tool_0001')).toMatchObject({ refused: false });

  await fleet.behave(namespace, 'server', { tools: numbered(2, 'Erases') });
  await place.listed('server', anonymous);
  await fleet.eventually(
    () => place.type('tools', 'server'),
    ({ out }) => /^tool_0001 .* changed /m.test(out),
    90,
    ({ out, err }) => out + err,
  );
  expect(await agreed(place, 'server', anonymous, 'tool_0001')).toMatchObject({ denied: { code: 'TOOL_CHANGED' } });
  expect((await place.type('tools', 'approve', 'server')).out).toMatch(/^tool_0001 +changed +[0-9a-f]{12} +[0-9a-f]{12} /m);

  expect(await place.type('tools', 'approve', 'server', 'tool_0001')).toMatchObject({ code: 0, err: '' });
  await fleet.eventually(
    () => place.call('server', anonymous, 'tool_0001', {}),
    ({ refused }) => !refused,
    60,
  );
  expect(await agreed(place, 'server', anonymous, 'tool_0001')).toMatchObject({ refused: false });
  expect(await agreed(place, 'server', anonymous, 'tool_0002')).toMatchObject({ denied: { code: 'TOOL_CHANGED' } });
});
