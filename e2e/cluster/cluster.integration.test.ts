import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { callApi } from './api-server.ts';
import type { ApiAccess } from './api-server.ts';
import { startCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { openInstance } from './instance.ts';
import { gone, isAlive } from './process.ts';

function admin(cluster: Cluster): ApiAccess {
  return { server: cluster.apiServerUrl, authority: cluster.caPem, user: cluster.adminCertificate };
}

test('a control plane records requests, comes back after a crash, and has forgotten old revisions if told to', async () => {
  await using cluster = await startCluster({ controlPlaneOnly: true, audit: true });
  const access = admin(cluster);
  for (const name of ['one', 'two', 'three']) {
    await callApi(access, 'POST', '/api/v1/namespaces/default/configmaps', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
  }
  const audit = await readFile(cluster.auditLogPath ?? '', 'utf8');
  const records = audit
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { verb: string; user: { username: string }; objectRef?: { resource: string } });
  const own = records.filter(
    ({ verb, user, objectRef }) => verb === 'create' && user.username === 'admin' && objectRef?.resource === 'configmaps',
  );
  expect(own).toHaveLength(3);

  const page = JSON.parse((await callApi(access, 'GET', '/api/v1/configmaps?limit=1')).body) as { metadata: { continue: string } };
  await callApi(access, 'DELETE', '/api/v1/namespaces/default/configmaps/three');
  await cluster.compactEtcd();

  await cluster.component('kube-apiserver').kill();
  await expect(callApi(access, 'GET', '/readyz')).rejects.toThrow(/ECONNREFUSED/);
  await cluster.component('kube-apiserver').start();
  expect((await callApi(access, 'GET', '/api/v1/namespaces/default/configmaps/two')).status).toBe(200);
  const rest = await callApi(access, 'GET', `/api/v1/configmaps?limit=1&continue=${encodeURIComponent(page.metadata.continue)}`);
  expect(rest.status).toBe(410);
});

test('several control planes live side by side and vanish when they are stopped', async () => {
  const clusters = await Promise.all(['one', 'two'].map((name) => startCluster({ name, controlPlaneOnly: true })));
  const [one, two] = clusters;
  expect(new Set(clusters.map(({ apiServerUrl }) => apiServerUrl)).size).toBe(2);
  await one?.stop();
  await one?.stop();
  expect(existsSync(one?.folder ?? '')).toBe(false);
  expect((await callApi(admin(two as Cluster), 'GET', '/readyz')).status).toBe(200);
  await two?.stop();
});

test('a run that is killed leaves no process behind, and the next start clears its folder', async () => {
  const script = `import { startCluster } from ${JSON.stringify(join(import.meta.dirname, 'cluster.ts'))};
    const cluster = await startCluster({ name: 'killed', controlPlaneOnly: true });
    process.stdout.write(cluster.folder); setInterval(() => undefined, 1000);`;
  const runner = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = (await once(runner.stdout, 'data')) as [Buffer];
  const folder = output.toString();
  const processes = Object.values(openInstance(folder)?.state.processes ?? {});
  expect(processes.map(isAlive)).toEqual([true, true]);
  runner.kill('SIGKILL');
  for (const identity of processes) {
    expect(await gone(identity, 5_000)).toBe(true);
  }
  await using _ = await startCluster({ controlPlaneOnly: true });
  expect(existsSync(folder)).toBe(false);
});
