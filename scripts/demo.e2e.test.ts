import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubectlFor } from '../e2e/kubectl.ts';
import type { Kubectl } from '../e2e/kubectl.ts';
import { ROOT } from './sources.ts';

const NAME = 'demo-test';
const FOLDER = join(ROOT, '.clusters', NAME);
let output = '';
let kubectl: Kubectl;

async function make(target: string): Promise<string> {
  const env = { ...process.env, NAME, CLUSTER: '' };
  const { stdout } = await promisify(execFile)('make', [target], { cwd: ROOT, env, maxBuffer: 16 << 20 });
  return stdout;
}

/** The part of what the demo printed under a heading that begins so. */
function section(heading: string): string {
  const [, text = ''] = output.split(`── ${heading}`);
  return text.split('\n── ')[0] ?? '';
}

beforeAll(async () => {
  output = await make('demo');
  kubectl = await kubectlFor(join(FOLDER, 'kubeconfig'));
}, 420_000);
afterAll(() => make('demo-down'), 120_000);

test('it says what it does from the start, and ends with the time it took', () => {
  expect(output).toMatch(/^\[ +\d+\.\d s\] /);
  expect(output).toMatch(/\[ +\d+\.\d s\] done\n$/);
});

test('three servers are Ready, each with its tools', async () => {
  const list = JSON.parse(await kubectl(['get', 'mcps', '-n', 'mcp-quickstart', '-o', 'json'])) as {
    items: { metadata: { name: string }; status: { tools: { total: number }; conditions: { type: string; status: string }[] } }[];
  };
  const states = list.items.map(({ metadata, status }) => ({
    name: metadata.name,
    ready: status.conditions.find(({ type }) => type === 'Ready')?.status,
    hasTools: status.tools.total > 0,
  }));
  expect(states).toEqual(['everything', 'from-npm', 'kubernetes'].map((name) => ({ name, ready: 'True', hasTools: true })));
});

test('the tree names what was made, tools are listed, tools answer, and those that write are refused', () => {
  expect(section('What was made')).toMatch(/Deployment\/everything[\s\S]*Role\/kubernetes/);
  expect(section('What was made')).toMatch(/MCPServer\/everything +True +Ready, \d+ tools, policy read-only/);
  expect(section('What was made')).toMatch(/Pod\/everything-\S+ +True +Running, guarded/);
  expect(section('Tools of kubernetes')).toContain('pods_list_in_namespace');
  expect(section('mcp-fleet call everything')).toContain('Echo: hello from a pod');
  expect(section('mcp-fleet call from-npm')).toContain('42');
  expect(section('mcp-fleet call kubernetes pods_list_in_namespace namespace=mcp-quickstart')).toMatch(/kubernetes-\S+ +2\/2 +Running/);
  for (const call of ['everything toggle-simulated-logging', 'from-npm toggle-simulated-logging', 'kubernetes pods_delete'])
    expect(section(`mcp-fleet call ${call}`)).toContain('Refused by policy: this call counts as');
});

test('only the server that asked for access has a token, and that expires after two hours', async () => {
  const pods = JSON.parse(await kubectl(['get', 'pods', '-n', 'mcp-quickstart', '-o', 'json'])) as {
    items: {
      metadata: { labels: Record<string, string> };
      spec: { volumes: { projected?: { sources: { serviceAccountToken?: object }[] } }[] };
    }[];
  };
  const tokens = pods.items.flatMap(({ metadata, spec }) =>
    spec.volumes.flatMap(({ projected }) =>
      (projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
        serviceAccountToken === undefined ? [] : [{ server: metadata.labels['mcp-fleet.dev/server'], ...serviceAccountToken }],
      ),
    ),
  );
  expect(tokens).toEqual([expect.objectContaining({ server: 'kubernetes', expirationSeconds: 7200 })]);
});

test('two replicas of the operator run from the image of the Dockerfile, and one leads', async () => {
  const image = await kubectl([
    'get',
    'pods',
    '-n',
    'mcp-fleet-system',
    '-o',
    'jsonpath={range .items[*]}{.spec.containers[0].image} {.status.phase}{"\\n"}{end}',
  ]);
  expect(image.trim().split('\n')).toEqual(Array(2).fill(expect.stringMatching(/^ghcr\.io\/mcp-fleet\/mcp-fleet-operator:\S+ Running$/)));
  expect(await kubectl(['get', 'lease', '-n', 'mcp-fleet-system', 'mcp-fleet-operator', '-o', 'jsonpath={.spec.holderIdentity}'])).not.toBe(
    '',
  );
});

test('undeploy leaves the servers running and the policies of the platform, deploy takes over without a new pod', async () => {
  // Not the one from npm: `make deploy` knows nothing of the demo's package registry, whose address is in that pod's template.
  const selector = 'mcp-fleet.dev/server in (everything, kubernetes)';
  const podNames = (): Promise<string> =>
    kubectl(['get', 'pods', '-n', 'mcp-quickstart', '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}']);
  const before = await podNames();
  const env = { ...process.env, KUBECONFIG: join(FOLDER, 'kubeconfig') };
  const run = (command: string): Promise<{ stdout: string }> =>
    promisify(execFile)('node', ['scripts/deploy.ts', command], { cwd: ROOT, env });
  await kubectl(['apply', '--server-side', '-f', join(ROOT, 'examples/policies/platform.yaml')]);
  expect((await run('undeploy')).stdout).toContain('namespace mcp-fleet-system, for it holds mcptoolpolicy.mcp-fleet.dev/teams');
  expect(await podNames()).toBe(before);
  expect(await kubectl(['get', 'deployments,mcptoolpolicies', '-n', 'mcp-fleet-system', '-o', 'name'])).toBe(
    'mcptoolpolicy.mcp-fleet.dev/teams\n',
  );
  await run('deploy');
  await kubectl(['wait', '--for=condition=Ready', 'mcps', '--all', '-n', 'mcp-quickstart', '--timeout=60s']);
  expect(await podNames()).toBe(before);
});

test('demo-down leaves nothing', async () => {
  expect(await make('demo-down')).toContain(`cluster ${NAME} is gone`);
  expect(existsSync(FOLDER)).toBe(false);
});
