import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeImage, NODE_IMAGE } from '../images/node.ts';
import { PAUSE_IMAGE } from '../images/pause.ts';
import { kubectlFor } from '../kubectl.ts';
import type { Kubectl } from '../kubectl.ts';
import { startCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { openInstance } from './instance.ts';
import { cgroupName } from './node.ts';
import { gone, isAlive } from './process.ts';

let hub: Cluster | undefined;
let satellite: Cluster | undefined;
let atHub: Kubectl;
let atSatellite: Kubectl;

beforeAll(async () => {
  [hub, satellite] = await Promise.all([startCluster({ name: 'hub', metricsServer: true }), startCluster({ name: 'satellite' })]);
  [atHub, atSatellite] = await Promise.all([kubectlFor(hub.kubeconfigPath), kubectlFor(satellite.kubeconfigPath)]);
  const image = await nodeImage();
  expect(await hub.loadImage(image)).toEqual([NODE_IMAGE]);
  await satellite.loadImage(image);
  await atHub(['apply', '-f', '-'], WEB);
  await atHub(['rollout', 'status', 'deployment/web', '--timeout=60s']);
});

afterAll(async () => {
  await Promise.all([hub?.stop(), satellite?.stop()]);
});

/** A server with a native sidecar, a Service inside and one at a port of the node. */
const WEB = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      initContainers:
        - { name: sidecar, image: '${PAUSE_IMAGE}', restartPolicy: Always }
      containers:
        - name: web
          image: '${NODE_IMAGE}'
          command: [node, -e, "require('node:http').createServer((_, answer) => answer.end(process.env.HOSTNAME)).listen(8080)"]
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }]
`;

/** Fetches in a new pod until it gets an answer, which becomes the pod's log. */
async function fetchInPod(kubectl: Kubectl, name: string, url: string): Promise<string> {
  const program = `(async () => { for (;;) try { console.log(await (await fetch(${JSON.stringify(url)})).text()); return } catch {} })()`;
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { restartPolicy: 'Never', containers: [{ name: 'fetch', image: NODE_IMAGE, command: ['node', '-e', program] }] },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  await kubectl(['wait', `pod/${name}`, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=30s']);
  return (await kubectl(['logs', name])).trim();
}

test('a pod finds a Service by its name, itself behind it included', async () => {
  expect(await fetchInPod(atHub, 'by-name', 'http://web.default.svc.cluster.local')).toMatch(/^web-/);
  expect(await fetchInPod(atHub, 'by-short-name', 'http://web')).toMatch(/^web-/);
});

test('a pod of one cluster reaches the node of another, and nothing when the cable is out', async () => {
  const url = `http://${hub?.node?.address ?? ''}:30080`;
  expect(await fetchInPod(atSatellite, 'across', url)).toMatch(/^web-/);
  await hub?.node?.setCable('down');
  await expect(fetch(url, { signal: AbortSignal.timeout(1_000) })).rejects.toThrow();
  await hub?.node?.setCable('up');
  expect(await (await fetch(url)).text()).toMatch(/^web-/);
});

test('this machine reaches pods and Services directly', async () => {
  const podAddress = await atHub(['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].status.podIP}']);
  expect(await (await fetch(`http://${podAddress}:8080`)).text()).toMatch(/^web-/);
  const serviceAddress = await atHub(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}']);
  expect(await (await fetch(`http://${serviceAddress}`)).text()).toMatch(/^web-/);
});

test('metrics of pods are served', async () => {
  await atHub(['wait', '--for=condition=Available', 'apiservice/v1beta1.metrics.k8s.io', '--timeout=30s']);
  await expect
    .poll(() => atHub(['top', 'pods', '-l', 'app=web', '--no-headers']).catch(() => ''), { timeout: 60_000, interval: 1_000 })
    .toMatch(/^web-.*\n^web-/m);
});

test('a run that is killed takes its node with it and disturbs nobody', async () => {
  const script = `import { startCluster } from ${JSON.stringify(join(import.meta.dirname, 'cluster.ts'))};
    const cluster = await startCluster({ name: 'killed' });
    process.stdout.write(cluster.folder); setInterval(() => undefined, 1000);`;
  const runner = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = (await once(runner.stdout, 'data')) as [Buffer];
  const folder = output.toString();
  const state = openInstance(folder)?.state;
  const processes = Object.values(state?.processes ?? {});
  expect(processes.length).toBeGreaterThan(7);
  expect(processes.every(isAlive)).toBe(true);
  runner.kill('SIGKILL');
  for (const identity of processes) {
    expect(await gone(identity, 10_000)).toBe(true);
  }
  await using _ = await startCluster({ controlPlaneOnly: true });
  expect(existsSync(folder)).toBe(false);
  expect(existsSync(`/sys/fs/cgroup/memory/${cgroupName({ id: state?.id ?? '' })}`)).toBe(false);
  expect(await (await fetch(`http://${hub?.node?.address ?? ''}:30080`)).text()).toMatch(/^web-/);
});
