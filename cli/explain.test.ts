import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from './program.ts';
import { capture } from './testing/capture.ts';

let folder: string;

const manifests = `
apiVersion: mcp-fleet.dev/v1alpha1
kind: MCPServer
metadata: {name: tickets, namespace: agents, labels: {team: a}}
spec:
  container: {image: "example.com/tickets:1"}
  authentication:
    type: Guard
    apiKeys: {secretName: keys}
    serviceAccounts: {}
    jwt: [{name: corp, issuer: "https://idp.example.com", audiences: [mcp], requiredScopes: [mcp]}]
---
apiVersion: mcp-fleet.dev/v1alpha1
kind: MCPToolPolicy
metadata: {name: tickets, namespace: agents}
spec:
  selector: {matchLabels: {team: a}}
  defaultAction: Deny
  access:
    maximumClass: NonDestructive
    overrides: [{tools: [archive], class: Destructive, unless: [{path: /dry, operator: Equals, boolean: true, class: ReadOnly}]}]
  rules:
  - {name: everybody, effect: Allow, tools: [search, archive]}
  - {name: oncall, effect: Allow, subjects: [{jwt: {issuer: "https://idp.example.com", groups: [oncall], scopes: [write]}}], tools: [close], arguments: [{path: /queue, operator: In, values: [test]}]}
  - {name: bots, effect: Allow, subjects: [{user: ci}, {serviceAccount: {namespace: agents, name: "*"}}], tools: [close]}
---
apiVersion: mcp-fleet.dev/v1alpha1
kind: MCPToolPolicy
metadata: {name: floor, namespace: mcp-fleet-system}
spec: {selector: {}, namespaces: {matchNames: [agents]}, mode: Audit, defaultAction: Allow, access: {maximumClass: ReadOnly}}
`;

const inventory = {
  tools: [
    { name: 'search', inputSchema: {}, annotations: { readOnlyHint: true } },
    { name: 'close', inputSchema: {}, annotations: { destructiveHint: false } },
    { name: 'archive', inputSchema: {} },
    { name: 'erase', inputSchema: {} },
  ],
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'explain-'));
  await writeFile(join(folder, 'all.yaml'), manifests);
  await writeFile(join(folder, 'tools.json'), JSON.stringify(inventory));
});
afterAll(() => rm(folder, { recursive: true }));

async function explained(...argv: string[]) {
  const { environment, out, err } = capture({});
  const files = ['-f', join(folder, 'all.yaml'), '--inventory', join(folder, 'tools.json')];
  const code = await run(environment, 'mcp-fleet', 'test', ['explain', 'tickets', '-n', 'agents', ...files, ...argv]);
  return { code, out: out(), err: err() };
}

describe('explain -f', () => {
  const corp = ['--as', 'jwt:https://idp.example.com'];
  test.each<[sentence: string, argv: string[], code: number, words: string]>([
    ['a rule allows', ['--tool', 'search', '--as', 'user:ci'], 0, 'Allowed by rule everybody of policy agents/tickets'],
    ['another caller is needed', ['--tool', 'close', '--as', 'user:me'], 8, 'no rule allows it, and policy agents/tickets'],
    ['a ServiceAccount is in a namespace', ['--tool', 'close', '--as', 'sa:agents/triage'], 0, 'Allowed by rule bots'],
    ['it is so named by Kubernetes', ['--tool', 'close', '--as', 'system:serviceaccount:agents:triage'], 0, 'Allowed by rule bots'],
    ['nobody comes in without a credential', ['--tool', 'search'], 8, 'authentication.anonymous is false'],
    ['the issuer wants a scope', [...corp, '--tool', 'search'], 8, 'requires scopes that the token lacks: mcp'],
    ['the issuer is not known', ['--as', 'jwt:https://other.example.com', '--tool', 'search'], 8, 'has no issuer'],
    [
      'a scope is missing',
      [...corp, '--groups', 'oncall', '--scopes', 'mcp', '--tool', 'close', '--args', 'queue=test'],
      8,
      'the token needs scopes write, by rule oncall',
    ],
    ['arguments decide', [...corp, '--groups', 'oncall', '--scopes', 'mcp,write', '--tool', 'close'], 9, 'matches if /queue In "test"'],
    [
      'these arguments are allowed',
      [...corp, '--groups', 'oncall', '--scopes', 'mcp,write', '--tool', 'close', '--args', '{"queue":"test"}'],
      0,
      'Allowed by rule oncall',
    ],
    ['the class depends on arguments', ['--tool', 'archive', '--as', 'user:ci'], 9, 'ReadOnly up to Destructive'],
    [
      'the class is above the ceiling',
      ['--tool', 'archive', '--as', 'user:ci', '--args', '{}'],
      8,
      'it counts as Destructive, and policy agents/tickets',
    ],
    ['a policy in audit would refuse', ['--tool', 'close', '--as', 'user:ci'], 0, 'it would be refused by mcp-fleet-system/floor (CLASS)'],
    ['the tool does not exist', ['--tool', 'sell', '--as', 'user:ci'], 8, 'the server lists nothing of that name'],
    ['a method is refused', ['--method', 'sampling/createMessage', '--as', 'user:ci'], 8, 'spec.methods'],
    ['lists are answered', ['--method', 'tools/list', '--as', 'user:ci'], 0, 'they have what the caller may use'],
    ['a prompt is refused', ['--prompt', 'p', '--as', 'user:ci'], 8, 'that the server has this prompt is taken for granted'],
  ])('%s', async (_, argv, code, words) => {
    const outcome = await explained(...argv);
    expect(outcome).toMatchObject({ code, err: '' });
    expect(outcome.out).toContain(words);
  });

  test('shows all tools of a server', async () => {
    const { code, out } = await explained('--as', 'user:ci');
    expect(code).toBe(0);
    expect(out).toMatch(/^search +allowed +ALLOWED +ReadOnly +hint +match +agents\/tickets everybody$/m);
    expect(out).toMatch(/^close +allowed \(audit: refused CLASS\) +ALLOWED +NonDestructive/m);
    expect(out).toMatch(/^archive +depends +(\(audit: .*\) +)?ReadOnly…Destructive +override/m);
    expect(out).toMatch(/^erase +hidden +CLASS +Destructive +default/m);
    const { out: json } = await explained('--as', 'user:ci', '-o', 'json');
    expect((JSON.parse(json) as { answer: string }[]).map(({ answer }) => answer)).toEqual(['allowed', 'allowed', 'depends', 'refused']);
    expect((await explained('--as', 'user:ci', '-o', 'name')).out).toBe('search\nclose\narchive\n');
  });

  test.each<[sentence: string, argv: string[], words: string]>([
    ['a subject that is nobody', ['--as', 'root'], 'write anonymous, user:NAME'],
    ['groups without a token', ['--as', 'user:ci', '--groups', 'a'], 'those of a token'],
    ['two objects', ['--tool', 'a', '--prompt', 'b'], 'one tool, prompt or resource at a time'],
    ['a method without its object', ['--method', 'tools/call'], 'is about a tool: name it'],
    ['an object that does not fit', ['--method', 'logging/setLevel', '--tool', 'a'], 'is about no tool'],
    ['arguments that are no JSON', ['--tool', 'a', '--args', '{'], '--args: '],
    ['arguments in a file that is not there', ['--tool', 'a', '--args', '@/nowhere.json'], '--args: ENOENT'],
    ['a file that is not there', ['-f', '/nowhere.yaml'], '/nowhere.yaml cannot be read'],
  ])('refuses %s', async (_, argv, words) => {
    expect(await explained(...argv)).toMatchObject({ code: 2, err: expect.stringContaining(words) });
  });

  test('a policy that the operator would not take is named', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(file, manifests.replace('effect: Allow, tools: [search, archive]', 'effect: Allow, weekday: Mon'));
    const { environment, err } = capture({});
    expect(await run(environment, 'mcp-fleet', 'test', ['explain', 'tickets', '-n', 'agents', '-f', file])).toBe(2);
    expect(err()).toContain('MCPToolPolicy tickets: spec.rules.0.weekday: not known to this version');
  });
});

test('what the author of a policy wrote controls no terminal, and begins no line', async () => {
  const message = 'no\u001b]0;owned\u0007\n  Bundle   forged';
  const tests = [{ path: '/q', operator: 'In', values: ['x'] }];
  const policy = {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPToolPolicy',
    metadata: { name: 'hostile', namespace: 'agents' },
    spec: { selector: {}, defaultAction: 'Allow', rules: [{ name: 'r', effect: 'Deny', tools: ['search'], arguments: tests, message }] },
  };
  await writeFile(join(folder, 'hostile.json'), JSON.stringify(policy));
  const called = ['--tool', 'search', '--as', 'user:ci', '--args', 'q=x'];
  const { out } = await explained(...called, '-f', join(folder, 'hostile.json'));
  expect(out).toContain('no\uFFFD]0;owned\uFFFD');
  expect(out.split('\n').filter((line) => line.startsWith('  Bundle'))).toHaveLength(1);
});
