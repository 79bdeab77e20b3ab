import { join } from 'node:path';
import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MCPServer } from '../api/mcpserver.ts';
import { apiVersionOf, Deployments, NetworkPolicies, ServiceAccounts, type Untyped } from '../operator/kube/resources.ts';
import { conditionOf, type Condition } from '../operator/runtime/conditions.ts';
import { NAMESPACE, OPERATOR } from '../scripts/installation.ts';
import { ROOT } from '../scripts/sources.ts';
import { AuditMark, isOperatorWrite, said } from './audit.ts';
import type { Cluster } from './cluster/cluster.ts';
import { faulty, Fleet, MCPServers, UNGUARDED } from './fleet.ts';
import { SILENT_IMAGE, silentImage } from './images/silent.ts';
import type { Kubectl } from './kubectl.ts';
import { type OperatedCluster, operatedCluster } from './operated.ts';
import { leader, operatorAtWork, operatorPods } from './operatorpods.ts';
import { installOptionalAPI, OPTIONAL_APIS } from './optionalapis.ts';
import { podProcess } from './podprocess.ts';
import { Traffic } from './traffic.ts';
import { Versions } from './versions.ts';

let operated: OperatedCluster;
let cluster: Cluster;
let kubectl: Kubectl;
let fleet: Fleet;
let namespace: string;
beforeAll(async () => {
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  operated = await operatedCluster({ name: 'resilience', audit: true, registry: false, images: [() => silentImage()], progress });
  ({ cluster, kubectl } = operated);
  fleet = await Fleet.of(cluster.kubeconfigPath);
  namespace = await fleet.namespace();
  await fleet.apply(namespace, 'steady', faulty());
  await fleet.ready(namespace, 'steady');
});
afterAll(async () => {
  await cluster?.saveArtifacts(join(ROOT, 'e2e/.artifacts/resilience'));
  await operated?.[Symbol.asyncDispose]();
});

const mark = (): Promise<AuditMark> => AuditMark.now(cluster.auditLogPath ?? '');
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (since: number): number => Math.round((performance.now() - since) / 100) / 10;

/** A server without pods: it tells whether the operator works, and costs nothing. */
const asleep = (name: string): Promise<unknown> => fleet.apply(namespace, name, faulty([], { suspend: true }));
const settled = (name: string, patience?: number): Promise<unknown> =>
  fleet.until(namespace, name, 'Ready', { status: 'True', reason: 'Suspended' }, patience);

/** A new server and a deleted child are taken care of. Returns the seconds that took. */
async function works(name: string, patience = 60): Promise<number> {
  const started = performance.now();
  const child = { namespace, name: 'steady' };
  const { metadata } = await fleet.client.get(NetworkPolicies, child);
  await Promise.all([asleep(name), fleet.client.delete(NetworkPolicies, child)]);
  await settled(name, patience);
  await fleet.eventually(
    () => fleet.find(NetworkPolicies, child),
    (found) => found !== undefined && found.metadata.uid !== metadata.uid,
    patience,
  );
  return seconds(started);
}

/** Once the API server takes requests: the client here may have found a dead connection, too. */
const reachable = (): Promise<unknown> =>
  fleet.eventually(
    () => fleet.client.get(MCPServers, { namespace, name: 'steady' }).catch(() => undefined),
    (found) => found !== undefined,
  );

/** What the operator wrote about servers that nobody touched. */
const needless = async (since: AuditMark, touched: readonly string[]): Promise<string[]> =>
  (await since.requests((request) => isOperatorWrite(request) && !touched.some((name) => request.name.startsWith(name)))).map(said);

/** Whoever goes on from here goes on from nothing left to do. */
const atRest = (): Promise<unknown> =>
  fleet.eventually(
    async () => {
      const since = await mark();
      await delay(3_000);
      return (await since.requests(isOperatorWrite)).map(said);
    },
    (made) => made.length === 0,
  );

/** Objects that the operator made more than once. */
async function madeTwice(since: AuditMark): Promise<string[]> {
  const made = (await since.requests((request) => isOperatorWrite(request) && request.code === 201)).map(said);
  return made.filter((each, index) => made.indexOf(each) !== index);
}

test('an API server that restarts and has forgotten old revisions interrupts nothing', async () => {
  const restarts = await operatorAtWork(fleet);
  const since = await mark();
  await using traffic = new Traffic(await fleet.url(namespace, 'steady'), 'where', 200);
  await cluster.compactEtcd();
  const away = performance.now();
  await cluster.component('kube-apiserver').kill();
  await cluster.component('kube-apiserver').start();
  await reachable();
  const outage = seconds(away);
  say(`API server restarted within ${outage} s: at work ${await works('after-restart')} s after it answered`);
  // Who cannot renew its lease for ten seconds gives up, as all controllers do; on a busy machine that may happen.
  if (outage < 8) expect(await operatorAtWork(fleet)).toEqual(restarts);
  expect(await needless(since, ['after-restart', 'steady'])).toEqual([]);
  expect(await madeTwice(since)).toEqual([]);
  expect(traffic.lost).toEqual([]);
});

test('an API server that answers nobody for a while, with its connections open, holds nothing up afterwards', async () => {
  const since = await mark();
  await using traffic = new Traffic(await fleet.url(namespace, 'steady'), 'where', 200);
  cluster.component('kube-apiserver').pause();
  await delay(20_000);
  cluster.component('kube-apiserver').resume();
  await reachable();
  say(`API server frozen for 20 s: at work ${await works('after-pause', 90)} s after it answered`);
  await operatorAtWork(fleet);
  expect(await madeTwice(since)).toEqual([]);
  expect(traffic.lost).toEqual([]);
  expect(traffic.answered('New')).toBeGreaterThan(50);
});

test('an API server that is away for a minute is waited for while servers answer', async () => {
  const since = await mark();
  await using traffic = new Traffic(await fleet.url(namespace, 'steady'), 'where', 200);
  // As a crash ends it. One that is stopped first withdraws its endpoint, and pods reach it again only when kube-proxy has noticed, up to a minute later.
  await cluster.component('kube-apiserver').kill();
  await delay(60_000);
  // Not afterwards: Kubernetes' node controller takes a node for dead that could not report for so long, and its pods' endpoints away for a moment.
  expect(traffic.lost).toEqual([]);
  expect(traffic.answered('New')).toBeGreaterThan(150);
  await cluster.component('kube-apiserver').start();
  await reachable();
  say(`API server away for 60 s: at work ${await works('after-outage', 90)} s after it answered`);
  const restarts = await operatorAtWork(fleet);
  // Who leads and cannot renew gives up, as controllers do; a standby just waits.
  expect(Math.max(...Object.values(restarts))).toBeLessThanOrEqual(2);
  expect(await madeTwice(since)).toEqual([]);
}, 240_000);

test('a leader that is killed while twenty servers converge leaves no gap and no second writer', async () => {
  await operatorAtWork(fleet);
  const crowd = await fleet.namespace();
  const names = Array.from({ length: 20 }, (_, index) => `crowd-${index}`);
  const old = await leader(fleet);
  const pod = (await operatorPods(fleet)).find(({ metadata }) => metadata.name === old);
  if (pod === undefined) throw new Error(`${old} leads and does not exist`);
  const victim = await podProcess(pod, '/app/operator.mjs');
  const since = await mark();
  await using deployments = await Versions.of(fleet.client, Deployments, crowd);
  const applied = Promise.all(names.map((name) => fleet.apply(crowd, name, faulty([], { suspend: true }))));
  await fleet.eventually(
    () => Promise.resolve(deployments.seen.length),
    (count) => count >= 3,
  );
  kill(victim, 'SIGKILL');
  const killed = performance.now();
  await applied;
  const made = (await fleet.client.list(Deployments, { namespace: crowd })).items.length;
  for (const name of names) await fleet.until(crowd, name, 'Ready', { status: 'True', reason: 'Suspended' }, 60);
  say(`leader killed with ${made} of 20 servers made: all of them ready ${seconds(killed)} s later`);

  const writers = (await since.requests((request) => isOperatorWrite(request) && request.namespace === crowd)).map(
    ({ pod: writer }) => writer,
  );
  const turns = writers.filter((writer, index) => writer !== writers[index - 1]);
  expect(turns[0]).toBe(old);
  // The same pod may lead again, since its container is restarted; then there is only one turn.
  expect(turns.length).toBeLessThanOrEqual(2);
  expect(await madeTwice(since)).toEqual([]);
});

test('servers go on serving without an operator, which repairs what happened meanwhile', async () => {
  await atRest();
  await using traffic = new Traffic(await fleet.url(namespace, 'steady'), 'where', 200);
  await kubectl(['scale', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--replicas=0']);
  await fleet.eventually(
    () => operatorPods(fleet),
    (pods) => pods.length === 0,
  );
  await fleet.client.mergePatch(NetworkPolicies, { namespace, name: 'steady' }, { spec: { ingress: [{}] } });
  await fleet.client.delete(ServiceAccounts, { namespace, name: 'steady' });
  await asleep('while-away');
  const since = await mark();
  await kubectl(['scale', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--replicas=2']);
  await settled('while-away', 120);
  await fleet.eventually(
    () => fleet.find(ServiceAccounts, { namespace, name: 'steady' }),
    (found) => found !== undefined,
  );
  await fleet.eventually(
    () => fleet.client.get(NetworkPolicies, { namespace, name: 'steady' }),
    ({ spec }) => spec?.ingress?.some(({ ports }) => ports === undefined) === false,
  );
  expect(await needless(since, ['steady', 'while-away'])).toEqual([]);
  expect(traffic.lost).toEqual([]);
  await operatorAtWork(fleet);
});

test('policies stay in force without an operator, also in pods that start meanwhile', async () => {
  const own = await fleet.namespace();
  const spec = { selector: {}, defaultAction: 'Allow', rules: [{ name: 'no-echo', effect: 'Deny', tools: ['echo'] }] };
  const policy = { apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: { name: 'no-echo', namespace: own }, spec };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  await fleet.apply(own, 'guarded', faulty());
  await fleet.ready(own, 'guarded');
  await fleet.until(own, 'guarded', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const answers = async (): Promise<string[]> => [
    await fleet.call(own, 'guarded', 'echo', { message: 'x' }).catch(String),
    await fleet.call(own, 'guarded', 'where').catch(String),
  ];
  const [old] = await fleet.pods(own, 'guarded');
  const refused = expect.stringContaining('Unknown tool: echo');
  expect(await answers()).toEqual([refused, old?.metadata.name]);

  await kubectl(['scale', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--replicas=0']);
  await fleet.eventually(
    () => operatorPods(fleet),
    (pods) => pods.length === 0,
  );
  expect(await answers()).toEqual([refused, old?.metadata.name]);
  await kubectl(['delete', 'pod', old?.metadata.name ?? '', '-n', own]);
  await kubectl(['rollout', 'status', 'deployment/guarded', '-n', own, '--timeout=90s']);
  const [young] = await fleet.pods(own, 'guarded');
  expect(young?.metadata.uid).not.toBe(old?.metadata.uid);
  expect(await answers()).toEqual([refused, young?.metadata.name]);
  await kubectl(['scale', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--replicas=2']);
  await operatorAtWork(fleet);
});

test('kinds that are installed later are used without a restart, and watched like all others', async () => {
  const restarts = await operatorAtWork(fleet);
  const own = { namespace, name: 'exposed' };
  const exposed = (hostname: string) =>
    faulty([], {
      suspend: true,
      expose: { httpRoute: { parentRefs: [{ name: 'public' }], hostnames: [hostname] } },
      telemetry: { podMonitor: { enabled: true } },
    });
  await fleet.apply(namespace, 'exposed', exposed('one.example.com'));
  await fleet.until(namespace, 'exposed', 'Exposed', { status: 'False', reason: 'GatewayAPINotInstalled' });
  for (const api of OPTIONAL_APIS) await installOptionalAPI(fleet, api);
  for (const api of OPTIONAL_APIS) {
    await fleet.eventually(
      () => fleet.find(api, own),
      (found) => found !== undefined,
      60,
    );
    await fleet.client.mergePatch(api, own, { spec: { mallory: true, rules: [], podMetricsEndpoints: [] } });
    await fleet.eventually(
      () => fleet.client.get(api, own) as Promise<Untyped>,
      ({ spec }) => JSON.stringify([spec?.['rules'], spec?.['podMetricsEndpoints']]) !== '[[],[]]',
      30,
    );
    const { metadata } = await fleet.client.get(api, own);
    await fleet.client.delete(api, own);
    await fleet.eventually(
      () => fleet.find(api, own),
      (found) => found !== undefined && found.metadata.uid !== metadata.uid,
    );
  }
  for (const api of OPTIONAL_APIS) {
    const foreign = { namespace, name: `foreign-${api.plural}` };
    await fleet.client.create(api, { apiVersion: apiVersionOf(api), kind: api.kind, metadata: foreign });
    await fleet.apply(namespace, foreign.name, exposed('two.example.com'));
    await fleet.until(namespace, foreign.name, 'Ready', { status: 'False', reason: 'NameConflict' });
  }
  await fleet.apply(namespace, 'exposed', faulty([], { suspend: true }));
  for (const api of OPTIONAL_APIS) {
    await fleet.eventually(
      () => fleet.find(api, own),
      (found) => found === undefined,
    );
  }
  expect(await operatorAtWork(fleet)).toEqual(restarts);
});

test('two hundred dead servers do not hold up a healthy one', async () => {
  const graveyard = await fleet.namespace();
  const [silent, podless] = [30, 170];
  // Where a guard is, it is the guard that waits for a silent server.
  const dead = {
    ...UNGUARDED,
    container: { image: SILENT_IMAGE, imagePullPolicy: 'IfNotPresent' as const },
    resources: { requests: { cpu: '1m', memory: '4Mi' } },
  };
  const apply = (count: number, prefix: string, more: object) =>
    Promise.all(Array.from({ length: count }, (_, index) => fleet.apply(graveyard, `${prefix}-${index}`, { ...dead, ...more })));
  await apply(podless, 'nowhere', { scheduling: { nodeSelector: { nowhere: 'true' } } });
  await apply(silent, 'silent', {});
  const isSo = (server: MCPServer, type: string, reason: string): boolean =>
    conditionOf(server.status?.conditions as readonly Condition[] | undefined, type)?.reason === reason;
  const all = async () => (await fleet.client.list(MCPServers, { namespace: graveyard })).items;
  await fleet.eventually(
    async () => {
      const servers = await all();
      return [
        servers.filter((each) => isSo(each, 'Verified', 'Timeout')).length,
        servers.filter((each) => isSo(each, 'Available', 'Unschedulable')).length,
      ];
    },
    ([mute, homeless]) => mute === silent && homeless === podless,
    150,
  );

  const started = performance.now();
  await fleet.apply(graveyard, 'healthy', faulty());
  await fleet.eventually(
    () => fleet.pods(graveyard, 'healthy'),
    ([pod]) => pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true,
  );
  const running = performance.now();
  await fleet.ready(graveyard, 'healthy', 30);
  const verified = seconds(running);
  say(
    `a healthy server beside ${silent} silent and ${podless} podless ones: Ready ${seconds(started)} s after apply, ${verified} s after its pod`,
  );
  expect(verified).toBeLessThan(10);
  // They stay what they were: nobody gave up on them, nobody took them for better.
  expect((await all()).filter((each) => isSo(each, 'Verified', 'Timeout')).length).toBe(silent);
}, 300_000);
