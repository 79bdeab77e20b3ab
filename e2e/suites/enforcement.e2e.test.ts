import { randomBytes } from 'node:crypto';
import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject, test, type TestContext } from 'vitest';
import type { MCPToolPolicySpecInput } from '../../api/mcptoolpolicy.ts';
import { NetworkPolicies } from '../../operator/kube/resources.ts';
import type { Pod } from '../../operator/kube/wire.ts';
import { faulty, Fleet } from '../fleet.ts';
import { NODE_PUBLISHED } from '../images/node.ts';
import { EVERYTHING_PUBLISHED } from '../images/servers.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { podProcess } from '../podprocess.ts';
import { guardOf, ListeningSession } from '../session.ts';

async function scene({ onTestFinished }: TestContext) {
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const namespace = await fleet.namespace();
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const apply = (object: object): Promise<string> =>
    kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(object));
  return {
    fleet,
    namespace,
    kubectl,
    policy: (name: string, spec: MCPToolPolicySpecInput): Promise<string> =>
      apply({ apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name, namespace }, spec }),
    secret: (name: string, data: Readonly<Record<string, string>>): Promise<string> =>
      apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data: base64(data) }),
    /** A kubelet looks at Secrets once a minute or so, but at once when a pod changes. */
    touch: (server: string): Promise<string> =>
      kubectl([
        'annotate',
        'pods',
        '-n',
        namespace,
        '-l',
        `mcp-fleet.dev/server=${server}`,
        '--overwrite',
        `touched=${randomBytes(4).toString('hex')}`,
      ]),
    listen: async (pod: Pod, credential: Readonly<Record<string, string>>): Promise<ListeningSession> => {
      const session = await ListeningSession.open(guardOf(pod), credential);
      onTestFinished(() => session[Symbol.asyncDispose]());
      return session;
    },
  };
}

const base64 = (data: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

/** What would differ had a pod, or a container of one, been started anew. */
const lives = (pods: readonly Pod[]): string[] =>
  pods.map(({ metadata, status }) => {
    const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
    return `${metadata.uid} ${containers.map(({ name, restartCount }) => `${name}:${restartCount}`).join(' ')}`;
  });

const keyed = { authentication: { type: 'Guard' as const, apiKeys: { secretName: 'keys' } } };
const as = (key: string): Readonly<Record<string, string>> => ({ 'x-api-key': key });

test.concurrent('a policy that comes, changes and goes reaches open streams: those whose list it changes, and no others', async (context) => {
  const { fleet, namespace, policy, kubectl, secret, listen } = await scene(context);
  await secret('keys', { ada: 'key-of-ada', bob: 'key-of-bob' });
  await fleet.apply(namespace, 'good', faulty(['--era', 'Legacy', '--sessions'], { ...keyed, replicas: 2 }));
  await fleet.ready(namespace, 'good');
  const pods = await fleet.pods(namespace, 'good');
  const adas = await Promise.all(pods.map((pod) => listen(pod, as('key-of-ada'))));
  const bobs = await Promise.all(pods.map((pod) => listen(pod, as('key-of-bob'))));

  const denied = (tool: string): MCPToolPolicySpecInput => ({
    selector: {},
    defaultAction: 'Allow',
    rules: [{ name: 'not-for-ada', effect: 'Deny', subjects: [{ user: 'ada' }], tools: [tool] }],
  });
  const steps = [
    { change: () => policy('ada', denied('echo')), echo: false, where: true },
    { change: () => policy('ada', denied('where')), echo: true, where: false },
    { change: () => kubectl(['delete', 'mcptp', 'ada', '-n', namespace]), echo: true, where: true },
  ];
  for (const [index, { change, ...wanted }] of steps.entries()) {
    await change();
    await fleet.eventually(
      () => Promise.all(adas.flatMap((ada) => [ada.allowed('echo'), ada.allowed('where')])),
      (answers) => answers.join() === pods.flatMap(() => [wanted.echo, wanted.where]).join(),
      20,
    );
    await fleet.eventually(
      () => Promise.resolve(adas.map((ada) => ada.changes())),
      (counts) => counts.every((count) => count === index + 1),
      10,
    );
    expect(await Promise.all(bobs.flatMap((bob) => [bob.allowed('echo'), bob.allowed('where')]))).not.toContain(false);
  }
  expect(bobs.map((bob) => bob.changes())).toEqual([0, 0]);
  expect([...adas, ...bobs].map(({ ended }) => ended)).toEqual([undefined, undefined, undefined, undefined]);
  expect(lives(await fleet.pods(namespace, 'good'))).toEqual(lives(pods));
});

test.concurrent('API keys and sealing keys are changed while the pods run', async (context) => {
  const { fleet, namespace, kubectl, secret, touch, listen } = await scene(context);
  await secret('keys', { ada: 'first-key', bob: 'key-of-bob' });
  await fleet.apply(namespace, 'keyed', faulty(['--era', 'Legacy', '--sessions'], { ...keyed, replicas: 2 }));
  await fleet.ready(namespace, 'keyed');
  const pods = await fleet.pods(namespace, 'keyed');
  const statuses = (key: string): Promise<number[]> =>
    Promise.all(
      pods.map(async (pod) => {
        const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...as(key) };
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
        const { status, body: answer } = await fetch(guardOf(pod), { method: 'POST', headers, body });
        await answer?.cancel();
        return status;
      }),
    );
  expect(await statuses('second-key')).toEqual([401, 401]);

  await secret('keys', { ada: 'second-key', bob: 'key-of-bob' });
  await touch('keyed');
  await fleet.eventually(
    () => statuses('first-key'),
    (codes) => codes.every((code) => code === 401),
    30,
  );
  expect(await statuses('second-key')).not.toContain(401);
  expect(await statuses('key-of-bob')).not.toContain(401);

  const sealing = (current: string, previous: string): Promise<string> => secret('keyed-guard', { current, previous });
  const key = (): string => randomBytes(32).toString('base64');
  const everywhere = async (): Promise<ListeningSession[]> => Promise.all(pods.map((pod) => listen(pod, as('key-of-bob'))));
  const open = (sessions: readonly ListeningSession[]): Promise<number[]> =>
    Promise.all(sessions.map(async (session) => (await session.send({ id: 2, method: 'tools/list' })).status));
  const unknown = (codes: readonly number[]): boolean => codes.every((code) => code === 404);
  const first = await everywhere();
  expect(await open(first)).toEqual([200, 200]);
  // Both at once: nothing that was sealed before opens any more, which is what a leaked key asks for.
  const [second, third, fourth] = [key(), key(), key()];
  await sealing(second, key());
  await touch('keyed');
  await fleet.eventually(() => open(first), unknown, 30);
  // One after the other: what the last key sealed still opens, what the one before it did no longer.
  const before = await everywhere();
  await sealing(third, second);
  await touch('keyed');
  for (const pod of pods)
    await fleet.eventually(
      () => currentKey(kubectl, pod),
      (current) => current === third,
      30,
    );
  const after = await everywhere();
  expect(await open([...before, ...after])).toEqual([200, 200, 200, 200]);
  await sealing(fourth, third);
  await touch('keyed');
  await fleet.eventually(() => open(before), unknown, 30);
  expect(await open(after)).toEqual([200, 200]);
  expect(lives(await fleet.pods(namespace, 'keyed'))).toEqual(lives(pods));
});

const READ_KEY = 'process.stdout.write(require("fs").readFileSync("/etc/mcp-fleet/keys/current"))';

/** The key that lies in the pod of a guard. */
function currentKey(kubectl: Kubectl, { metadata }: Pod): Promise<string> {
  const inside = ['exec', '-n', metadata.namespace ?? '', metadata.name, '-c', 'guard', '--'];
  return kubectl([...inside, '/nodejs/bin/node', '-e', READ_KEY]);
}

/** A pod that has nothing to do with a server, and what it runs there. */
async function outsider(fleet: Fleet, kubectl: Kubectl, namespace: string) {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const container = {
    name: 'outsider',
    image: NODE_PUBLISHED,
    imagePullPolicy: 'IfNotPresent',
    command: ['sleep', '3600'],
    securityContext,
  };
  const spec = {
    containers: [container],
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    terminationGracePeriodSeconds: 0,
  };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'outsider', namespace }, spec };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(pod));
  await kubectl(['wait', '--for=condition=Ready', 'pod/outsider', '-n', namespace, '--timeout=60s']);
  const run = (program: string, ...args: readonly string[]): Promise<string> =>
    kubectl(['exec', '-n', namespace, 'outsider', '--', 'node', '-e', program, '--', ...args]);
  return {
    /** TCP ports that accept a connection, of all there are. */
    openPorts: async (address: string): Promise<number[]> => JSON.parse(await run(SCAN, address)) as number[],
    /** What answers at these ports, again and again for so long: each kind of answer once. */
    knock: async (address: string, ports: readonly number[], seconds: number): Promise<string[]> =>
      JSON.parse(await run(KNOCK, address, ports.join(), String(seconds))) as string[],
  };
}

const SCAN = `
const { connect } = require('node:net');
const [address] = process.argv.slice(1);
const open = [];
let next = 1;
const worker = async () => {
  while (next < 65536) {
    const port = next++;
    await new Promise((done) => {
      const socket = connect({ host: address, port, timeout: 5000 });
      socket.once('connect', () => { open.push(port); socket.destroy(); done(); });
      socket.once('timeout', () => { socket.destroy(); done(); });
      socket.once('error', done);
    });
  }
};
Promise.all(Array.from({ length: 200 }, worker)).then(() => console.log(JSON.stringify(open.sort((a, b) => a - b))));`;

const KNOCK = `
const [address, ports, seconds] = process.argv.slice(1);
const end = Date.now() + seconds * 1000;
const heard = new Set();
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { message: 'around' } } });
const worker = async (port) => {
  while (Date.now() < end) {
    const answer = await fetch('http://' + address + ':' + port + '/mcp', { method: 'POST', headers, body, signal: AbortSignal.timeout(5000) })
      .then(async (response) => response.status + ' ' + (await response.text()), () => 'nothing');
    heard.add(port + ': ' + answer.slice(0, 200));
    await new Promise((done) => setTimeout(done, 5));
  }
};
Promise.all(ports.split(',').map((port) => worker(Number(port)))).then(() => console.log(JSON.stringify([...heard])));`;

/** What the failing server is steered by, and no way to its tools. */
const CONTROL_PORT = 9090;
const GUARD_PORTS = [15080, 15090, 15091];

test.concurrent('a guard that is killed leaves no way around it, and comes back by itself', async (context) => {
  const { fleet, namespace, policy, kubectl } = await scene(context);
  await policy('no-echo', { selector: {}, defaultAction: 'Allow', rules: [{ name: 'no-echo', effect: 'Deny', tools: ['echo'] }] });
  const stdio = {
    container: {
      image: EVERYTHING_PUBLISHED,
      imagePullPolicy: 'IfNotPresent' as const,
      command: ['node', 'dist/index.js'],
      args: ['stdio'],
    },
    transport: { type: 'Stdio' as const },
    resources: { requests: { cpu: '10m' } },
  };
  await fleet.apply(namespace, 'stdio', stdio);
  await fleet.apply(namespace, 'inner', faulty(['--address', '127.0.0.1', '--era', 'Legacy'], { transport: { bind: 'Loopback' } }));
  const { openPorts, knock } = await outsider(fleet, kubectl, namespace);
  for (const [name, ports] of [
    ['stdio', GUARD_PORTS],
    ['inner', [CONTROL_PORT, ...GUARD_PORTS]],
  ] as const) {
    await fleet.ready(namespace, name, 120);
    await fleet.until(namespace, name, 'PolicyApplied', { status: 'True', reason: 'Applied' });
    const [pod] = await fleet.pods(namespace, name);
    if (pod === undefined) throw new Error(`${name} has no pod`);
    const address = pod.status?.podIP ?? '';
    expect(await openPorts(address), name).toEqual(ports);

    const knocking = knock(address, [8080, 3001, ...ports], 12);
    const killed: number[] = [];
    const until = performance.now() + 9_000;
    while (performance.now() < until) {
      const process = await podProcess(pod, '/app/guard.mjs').catch(() => undefined);
      if (process !== undefined && !killed.includes(process)) {
        kill(process, 'SIGKILL');
        killed.push(process);
      }
      await delay(100);
    }
    const heard = await knocking;
    expect(killed.length, name).toBeGreaterThan(0);
    // Nobody, or the guard: 404 of a page that it does not have, 405 of a read-only port, and its answers on the data port.
    const strange = heard.filter((line) => !/^\d+: (nothing|404 |405 )/.test(line) && !line.startsWith('15080: '));
    expect(
      strange.filter((line) => !line.startsWith(`${CONTROL_PORT}: `)),
      name,
    ).toEqual([]);
    expect(
      heard.filter((line) => line.includes('around')),
      name,
    ).toEqual([]);
    expect(heard, name).toContain('15080: nothing');

    const url = await fleet.url(namespace, name);
    await fleet.eventually(
      () => fleet.callAt(url, 'echo', { message: 'again' }).then(String, String),
      (answer) => answer.includes('Unknown tool'),
      90,
    );
    const [same] = await fleet.pods(namespace, name);
    expect(same?.metadata.uid).toBe(pod.metadata.uid);
    expect(same?.status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0]);
  }
}, 300_000);

test.concurrent('for a server that listens on all interfaces, the network policy lets callers reach the guard alone', async (context) => {
  const { fleet, namespace } = await scene(context);
  await fleet.apply(namespace, 'open', faulty());
  await fleet.ready(namespace, 'open');
  const { spec } = await fleet.client.get(NetworkPolicies, { namespace, name: 'open' });
  const ports = spec?.ingress?.flatMap((rule) => rule.ports?.map(({ port }) => port) ?? ['any']);
  expect(ports).toEqual([15080, 15090]);
});
