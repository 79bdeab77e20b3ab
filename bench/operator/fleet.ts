import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../../e2e/cluster/cluster.ts';
import { type AuditedRequest, AuditMark, isOperatorProcess, isMutation } from '../../e2e/audit.ts';
import type { Recording } from '../recording.ts';
import { round } from '../statistics.ts';
import { children } from './child.ts';
import { mcpserver, nameOf, NAMESPACE, PooledClient, prepare, serverPath } from './load.ts';
import { OperatorProcess } from './process.ts';

export interface FleetOptions {
  readonly servers: number;
  /** How long the fleet is watched at rest, in seconds. */
  readonly restSeconds: number;
}

/** Every server has a Service, and the usual /24 of the test clusters ends at 254. */
const CONTROL_PLANE = { controlPlaneOnly: true, audit: true, apiServerFlags: ['--service-cluster-ip-range=198.19.0.0/16'] } as const;

const MEMORY_BAR = new Map([
  [1000, 160],
  [5000, 300],
]);

/** A fleet from nothing to rest, and the same children applied by the trivial client to an API server of the same kind. */
export async function fleet(recording: Recording, { servers, restSeconds }: FleetOptions): Promise<void> {
  const of = (name: string): string => `${servers} servers: ${name}`;
  await using cluster = await startCluster({ name: 'bench', ...CONTROL_PLANE });
  await using client = new PooledClient(cluster);
  if (cluster.auditLogPath === undefined) throw new Error('the cluster keeps no audit log');
  const audit = AuditMark.start(cluster.auditLogPath);
  await prepare(client);
  await client.applyAll(
    Array.from({ length: servers }, (_, index) => ({ path: serverPath(nameOf(index)), object: mcpserver(nameOf(index)) })),
  );
  await skip(audit);

  const started = performance.now();
  const operator = await OperatorProcess.spawn(cluster.kubeconfigPath, `${cluster.logsFolder}/operator.log`);
  const first = await writesUntilQuiet(audit);
  const converging = first.filter(({ resource }) => resource !== 'mcpservers');
  const seconds = span(converging);
  recording.add({ name: of('children'), value: converging.length, unit: 'applies', method: tally(first) });
  recording.add({
    name: of('all children exist after'),
    value: round(seconds, 2),
    unit: 's',
    method: 'first to last write of a child, audit log',
  });
  recording.add({
    name: of('process start to last write'),
    value: round((performance.now() - started) / 1000 - QUIET_SECONDS, 1),
    unit: 's',
  });
  recording.add({
    name: of('writes per server'),
    value: round(first.length / servers, 2),
    unit: 'writes',
    bar: 'children + 1',
    reached: first.length <= converging.length + servers,
  });
  const rate = converging.length / seconds;
  recording.add({
    name: of('applies per second'),
    value: round(rate, 0),
    unit: '1/s',
    method: 'children only; status writes happen in between',
  });
  recording.add({ name: of('writes per second, status included'), value: round(first.length / span(first), 0), unit: '1/s' });
  recording.add(memoryFigure(of('memory after convergence'), servers, await operator.memory()));

  const same = await children(client);
  const raw = await rawRate(same);
  recording.add({
    name: of('applies per second of the trivial client'),
    value: round(raw, 0),
    unit: '1/s',
    method: `${same.length} objects, same order, fresh API server`,
  });
  recording.add({
    name: of('share of the trivial client'),
    value: round((rate / raw) * 100, 0),
    unit: '%',
    bar: '≥ 60 %',
    reached: rate / raw >= 0.6,
  });

  if (restSeconds > 0) {
    await skip(audit);
    const before = await operator.cpuSeconds();
    await delay(restSeconds * 1000);
    const writes = await audit.take(isOperatorsWrite);
    const load = ((await operator.cpuSeconds()) - before) / restSeconds;
    recording.add({
      name: of(`writes at rest in ${restSeconds} s`),
      value: writes.length,
      unit: 'writes',
      bar: '0',
      reached: writes.length === 0,
      method: tally(writes),
    });
    recording.add({ name: of('processor at rest'), value: round(load * 100, 2), unit: '% of a core', bar: '≤ 1 %', reached: load <= 0.01 });
    recording.add(memoryFigure(of('memory at rest'), servers, await operator.memory()));
  }
  await operator.stop();
  await restart(recording, of, cluster.kubeconfigPath, `${cluster.logsFolder}/operator.log`, audit);
}

async function restart(
  recording: Recording,
  of: (name: string) => string,
  kubeconfig: string,
  log: string,
  audit: AuditMark,
): Promise<void> {
  await skip(audit);
  const started = performance.now();
  const operator = await OperatorProcess.spawn(kubeconfig, log);
  await operator.ready();
  const settled = await idle(operator, started);
  await delay(5_000);
  const writes = await audit.take(isOperatorsWrite);
  recording.add({
    name: of('restart, idle again after'),
    value: round(settled / 1000, 2),
    unit: 's',
    bar: '≤ 3 s',
    reached: settled <= 3000,
    method: 'process start until it used less than 5 % of a core for 200 ms',
  });
  recording.add({
    name: of('writes of a restart'),
    value: writes.length,
    unit: 'writes',
    bar: '0',
    reached: writes.length === 0,
    method: tally(writes),
  });
  await operator.stop();
}

/** Milliseconds after `started` at which the process became quiet. */
async function idle(operator: OperatorProcess, started: number): Promise<number> {
  for (;;) {
    const now = performance.now();
    const before = await operator.cpuSeconds();
    await delay(200);
    if ((await operator.cpuSeconds()) - before <= 0.01) return now - started;
  }
}

const QUIET_SECONDS = 3;

/** All writes of the operator until there was none for three seconds. */
async function writesUntilQuiet(audit: AuditMark): Promise<AuditedRequest[]> {
  const writes: AuditedRequest[] = [];
  let quietSince: number | undefined;
  while (quietSince === undefined || performance.now() - quietSince < QUIET_SECONDS * 1000) {
    await delay(100);
    const more = await audit.take(isOperatorsWrite);
    writes.push(...more);
    if (more.length > 0) quietSince = performance.now();
  }
  return writes;
}

const isOperatorsWrite = (request: AuditedRequest): boolean => isOperatorProcess(request) && isMutation(request);

/** Forgets what was answered so far. */
const skip = (audit: AuditMark): Promise<unknown> => audit.take(() => false);

/** `patch deployments: 3, patch mcpservers/status: 1`, most frequent first. */
function tally(requests: readonly AuditedRequest[]): string {
  const counts = Map.groupBy(
    requests,
    ({ verb, resource, subresource }) => `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`,
  );
  const list = [...counts].toSorted(([, a], [, b]) => b.length - a.length).map(([what, { length }]) => `${what}: ${length}`);
  return list.join(', ') || 'none';
}

/** Seconds from the first request's arrival to the last one's answer. */
function span(events: readonly AuditedRequest[]): number {
  const begin = Math.min(...events.map(({ at }) => at.getTime()));
  const end = Math.max(...events.map(({ answered }) => answered.getTime()));
  return (end - begin) / 1000;
}

async function rawRate(objects: readonly { readonly path: string; readonly object: unknown }[]): Promise<number> {
  await using cluster = await startCluster({ name: 'bench-raw', ...CONTROL_PLANE });
  await using client = new PooledClient(cluster);
  await client.apply(`/api/v1/namespaces/${NAMESPACE}`, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  // Awaited here: the client is disposed of when this returns.
  return await client.applyAll(objects, 'mcp-fleet-operator');
}

function memoryFigure(name: string, servers: number, mebibytes: number) {
  const bar = MEMORY_BAR.get(servers);
  return {
    name,
    value: round(mebibytes, 0),
    unit: 'MiB RSS',
    ...(bar !== undefined && { bar: `≤ ${bar} MiB`, reached: mebibytes <= bar }),
  };
}
