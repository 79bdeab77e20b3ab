import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Agent, request } from 'undici';
import { NAMESPACE } from '../../scripts/installation.ts';
import { Fleet } from '../fleet.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { operatorPods } from '../operatorpods.ts';

let fleet: Fleet;
let kubectl: Kubectl;
// The operator makes its certificate at the start; Prometheus is told the same.
const agent = new Agent({ connect: { rejectUnauthorized: false } });
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => Promise.all([agent.close(), fleet[Symbol.asyncDispose]()]));

/** What one operator pod answers, and how. */
async function scrape(address: string, token?: string): Promise<{ readonly status: number; readonly text: string }> {
  const { statusCode, body } = await request(`https://${address}:8443/metrics`, {
    dispatcher: agent,
    ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
  });
  return { status: statusCode, text: await body.text() };
}

test('metrics of both replicas are for those alone who may read them', async () => {
  const namespace = await fleet.namespace();
  const tokenOf = async (account: string): Promise<string> => {
    await kubectl(['create', 'serviceaccount', account, '-n', namespace]);
    return (await kubectl(['create', 'token', account, '-n', namespace])).trim();
  };
  const [reader, stranger] = [await tokenOf('prometheus'), await tokenOf('stranger')];
  const binding = `read-metrics-${namespace}`;
  await kubectl([
    'create',
    'clusterrolebinding',
    binding,
    '--clusterrole=mcp-fleet-metrics-reader',
    `--serviceaccount=${namespace}:prometheus`,
  ]);
  try {
    const pods = await operatorPods(fleet);
    expect(pods.length, `replicas in ${NAMESPACE}`).toBe(2);
    const leading: string[] = [];
    for (const { status } of pods) {
      const address = status?.podIP ?? '';
      expect((await scrape(address)).status).toBe(401);
      expect((await scrape(address, 'nonsense')).status).toBe(401);
      expect((await scrape(address, stranger)).status).toBe(403);
      const { text } = await fleet.eventually(
        () => scrape(address, reader),
        (answer) => answer.status === 200,
      );
      for (const name of [
        'controller_runtime_reconcile_total',
        'workqueue_depth',
        'leader_election_master_status',
        'mcp_fleet_verifications_total',
      ]) {
        expect(text).toContain(name);
      }
      leading.push(...(text.match(/^leader_election_master_status\{.*\} 1$/m) ?? []));
    }
    expect(leading.length).toBe(1);
  } finally {
    await kubectl(['delete', 'clusterrolebinding', binding]);
  }
});
