import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { MCPToolPolicySpecInput } from '../api/mcptoolpolicy.ts';
import { faulty, Fleet } from '../e2e/fleet.ts';
import { operatedCluster } from '../e2e/operated.ts';
import { guardOf, ListeningSession } from '../e2e/session.ts';
import { namespaced } from '../operator/kube/resources.ts';
import { Recording } from './recording.ts';
import { round, summarize } from './statistics.ts';

/**
 * From the request that creates, changes or deletes a policy to the first call that each guard answers by it, with a real kubelet and a stream open at
 * every pod. Each pod is called every few milliseconds, so a sample is too long by the time of one call, never too short. Changes come at random
 * moments: nothing that happens once a second can hide.
 */
const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: '90' },
    pods: { type: 'string', default: '3' },
    kubeconfig: { type: 'string', default: '' },
    save: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const CHANGES = Number(values.changes);
const PODS = Number(values.pods);
const Policies = namespaced('mcp-fleet.dev/v1alpha1', 'MCPToolPolicy', 'mcptoolpolicies');

await using operated = values.kubeconfig === '' ? await operatedCluster({ name: 'bench', images: [], registry: false }) : undefined;
await using fleet = await Fleet.of(operated?.cluster.kubeconfigPath ?? values.kubeconfig);
const namespace = await fleet.namespace();
await fleet.apply(namespace, 'subject', faulty(['--era', 'Legacy', '--sessions'], { replicas: PODS }));
await fleet.ready(namespace, 'subject');
const pods = await fleet.pods(namespace, 'subject');
const sessions = await Promise.all(pods.map((pod) => ListeningSession.open(guardOf(pod))));

const name = { namespace, name: 'subject' };
const deny = (tool: string): Promise<unknown> => {
  const spec: MCPToolPolicySpecInput = { selector: {}, defaultAction: 'Allow', rules: [{ name: 'one', effect: 'Deny', tools: [tool] }] };
  const policy = { apiVersion: 'mcp-fleet.dev/v1alpha1', kind: 'MCPToolPolicy', metadata: name, spec };
  return fleet.client.apply(Policies, policy, { fieldManager: 'bench' });
};
const STEPS = [
  { kind: 'created', change: () => deny('echo'), tool: 'echo', allowed: false },
  { kind: 'changed', change: () => deny('where'), tool: 'where', allowed: false },
  { kind: 'deleted', change: () => fleet.client.delete(Policies, name), tool: 'where', allowed: true },
] as const;

const samples: { readonly kind: string; readonly each: readonly number[] }[] = [];
for (let turn = 0; turn < CHANGES; turn += 1) {
  const { kind, change, tool, allowed } = STEPS[turn % STEPS.length] ?? STEPS[0];
  const began = performance.now();
  const watching = sessions.map(async (session) => {
    while ((await session.allowed(tool)) !== allowed) await delay(5);
    return performance.now() - began;
  });
  await change();
  samples.push({ kind, each: await Promise.all(watching) });
  await delay(500 + Math.random() * 1_500);
}

const recording = new Recording('policy', { kubernetes: 'v1.35.4' });
const method = `${CHANGES} changes, ${PODS} pods, until the last guard answers by it`;
const all = summarize(samples.map(({ each }) => Math.max(...each)));
recording.add({
  name: 'policy change, all guards: p50',
  value: round(all.p50, 0),
  unit: 'ms',
  bar: '≤ 600 ms',
  reached: all.p50 <= 600,
  method,
});
recording.add({
  name: 'policy change, all guards: p99',
  value: round(all.p99, 0),
  unit: 'ms',
  bar: '≤ 2,000 ms',
  reached: all.p99 <= 2_000,
  method,
});
recording.add({ name: 'policy change, all guards: maximum', value: round(all.max, 0), unit: 'ms', method });
const one = summarize(samples.flatMap(({ each }) => each));
recording.add({ name: 'policy change, each guard: p50', value: round(one.p50, 0), unit: 'ms' });
recording.add({ name: 'policy change, each guard: p99', value: round(one.p99, 0), unit: 'ms' });
for (const { kind } of STEPS) {
  const { p50, max } = summarize(samples.filter((sample) => sample.kind === kind).map(({ each }) => Math.max(...each)));
  recording.add({ name: `policy ${kind}, all guards: p50`, value: round(p50, 0), unit: 'ms' });
  recording.add({ name: `policy ${kind}, all guards: maximum`, value: round(max, 0), unit: 'ms' });
}
// Each change alters the list of every caller once.
const told = sessions.reduce((sum, session) => sum + session.changes(), 0);
recording.add({
  name: 'list_changed beside one per change and stream',
  value: told - CHANGES * PODS,
  unit: '',
  bar: '0',
  reached: told === CHANGES * PODS,
});
const ended = sessions.filter((session) => session.ended !== undefined).length;
recording.add({ name: 'streams that ended', value: ended, unit: '', bar: '0', reached: ended === 0 });
const restarts = (await fleet.pods(namespace, 'subject')).flatMap(({ status }) => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
]);
const restarted = restarts.reduce((sum, { restartCount }) => sum + restartCount, 0);
recording.add({ name: 'restarts', value: restarted, unit: '', bar: '0', reached: restarted === 0 });
for (const session of sessions) await session[Symbol.asyncDispose]();
if (values.save) await recording.save(new Date());
