import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MCPServer, MCPServerSpecInput } from '../api/mcpserver.ts';
import { Namespaces } from '../operator/kube/resources.ts';
import type { Pod } from '../operator/kube/wire.ts';
import { conditionOf, type Condition } from '../operator/runtime/conditions.ts';
import { kstatusViolations } from '../operator/runtime/kstatus.ts';
import { summarize } from '../bench/statistics.ts';
import { NAMESPACE, OPERATOR } from '../scripts/installation.ts';
import { ROOT } from '../scripts/sources.ts';
import { AuditMark, isOperatorWrite, said } from './audit.ts';
import { faulty, Fleet, MCPServers, UNGUARDED } from './fleet.ts';
import { type OperatedCluster, operatedCluster } from './operated.ts';
import { operatorAtWork } from './operatorpods.ts';

/** A hundred pods are to fit on one node. */
const SMALL = { resources: { requests: { cpu: '1m', memory: '4Mi' } } };
/**
 * Servers that never start, by the reason that their status gives. The sum is a hundred. Some have a guard, which starts nevertheless; a hundred of those
 * would be more than this machine has to give.
 */
const BROKEN: Readonly<Record<string, { readonly count: number; readonly spec: MCPServerSpecInput }>> = {
  ImagePullFailed: {
    count: 60,
    spec: { ...SMALL, ...UNGUARDED, container: { image: 'mcp-fleet.dev/missing:1', imagePullPolicy: 'Never' } },
  },
  Unschedulable: { count: 36, spec: faulty([], { scheduling: { nodeSelector: { nowhere: 'true' } } }) },
  CrashLooping: { count: 4, spec: faulty(['--mode', 'Crash', '--message', 'the license has expired'], SMALL) },
};
const REST_SECONDS = 60;
/** Longer than a write that a watch has just caused. */
const QUIET_SECONDS = 10;

let operated: OperatedCluster;
let fleet: Fleet;
let namespace: string;
beforeAll(async () => {
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  operated = await operatedCluster({ name: 'rest', audit: true, registry: false, images: [], progress });
  fleet = await Fleet.of(operated.cluster.kubeconfigPath);
  namespace = await fleet.namespace();
  await fleet.apply(namespace, 'good', faulty());
  const names = Object.entries(BROKEN).flatMap(([reason, { count, spec }]) =>
    Array.from({ length: count }, (_, index) => ({ name: nameOf(reason, index), spec })),
  );
  for (const { name, spec } of names) await fleet.apply(namespace, name, spec);
  await fleet.ready(namespace, 'good');
  await fleet.eventually(
    servers,
    (all) => all.every(tellsWhy),
    240,
    (all) => JSON.stringify(all.filter((each) => !tellsWhy(each)).map(({ metadata, status }) => [metadata.name, status?.conditions])),
  );
}, 400_000);
afterAll(async () => {
  await operated?.cluster.saveArtifacts(join(ROOT, 'e2e/.artifacts/rest'));
  await operated?.[Symbol.asyncDispose]();
});

const nameOf = (reason: string, index: number): string => `${reason.toLowerCase()}-${index}`;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const mark = (): Promise<AuditMark> => AuditMark.now(operated.cluster.auditLogPath ?? '');
const writes = async (since: AuditMark): Promise<string[]> => (await since.requests(isOperatorWrite)).map(said);
const servers = async (): Promise<MCPServer[]> => (await fleet.client.list(MCPServers, { namespace })).items;

function tellsWhy({ metadata, status }: MCPServer): boolean {
  if (metadata.name === 'good') return true;
  const ready = conditionOf(status?.conditions as readonly Condition[] | undefined, 'Ready');
  return ready?.status === 'False' && metadata.name.startsWith(ready.reason.toLowerCase());
}

/** Resolves once the operator has written nothing for a while: a container that crashes a second time changes its message once more. */
async function quiet(): Promise<void> {
  for (;;) {
    const since = await mark();
    await delay(QUIET_SECONDS * 1000);
    const seen = await writes(since);
    if (seen.length === 0) return;
    say(`not quiet yet: ${seen.join(', ')}`);
  }
}

test('a hundred broken servers cause no write once their status says why', async () => {
  await quiet();
  const since = await mark();
  await delay(REST_SECONDS * 1000);
  expect(await writes(since)).toEqual([]);
  for (const server of await servers()) expect(kstatusViolations(server), server.metadata.name).toEqual([]);
}, 240_000);

test('an operator that is restarted writes nothing', async () => {
  const since = await mark();
  await operated.kubectl(['rollout', 'restart', `deployment/${OPERATOR}`, '-n', NAMESPACE]);
  await operated.kubectl(['rollout', 'status', `deployment/${OPERATOR}`, '-n', NAMESPACE, '--timeout=120s']);
  await operatorAtWork(fleet);
  await delay(QUIET_SECONDS * 1000);
  expect(await writes(since)).toEqual([]);
});

test('broken servers are Ready as soon as they are mended', async () => {
  const mended = ['ImagePullFailed', 'Unschedulable', 'CrashLooping'].flatMap((reason) => [nameOf(reason, 0), nameOf(reason, 1)]);
  const started = performance.now();
  for (const name of mended) await fleet.apply(namespace, name, faulty());
  const waits = await Promise.all(
    mended.map(async (name) => {
      await fleet.eventually(
        () => fleet.pods(namespace, name),
        (pods) => pods.some(isReady),
      );
      const running = performance.now();
      await fleet.until(namespace, name, 'Ready', { status: 'True' });
      return performance.now() - running;
    }),
  );
  const { p50, max } = summarize(waits);
  const told = [performance.now() - started, p50, max].map((milliseconds) => (milliseconds / 1000).toFixed(2));
  say(`${mended.length} mended servers Ready after ${told[0]} s; after their pods: median ${told[1]} s, at most ${told[2]} s`);
  // The figure to reach is 1 s. This is what a machine that runs all else beside it keeps, too.
  expect(max).toBeLessThan(5_000);
  await fleet.client.delete(Namespaces, { name: namespace });
});

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
