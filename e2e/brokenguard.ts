import type { Kubectl } from './kubectl.ts';

/** Loses progress notifications, a fault that proxies really have. Runs in the process of the guard before its program does. */
const FAULT = `
import http from 'node:http';
const { write } = http.ServerResponse.prototype;
http.ServerResponse.prototype.write = function (chunk, ...rest) {
  if (!Buffer.from(chunk).includes('notifications/progress')) return write.call(this, chunk, ...rest);
  for (const done of rest) if (typeof done === 'function') setImmediate(done);
  return true;
};
`;

interface Container {
  readonly name: string;
  readonly env?: readonly object[];
}
interface Deployment {
  readonly spec: {
    readonly template: { readonly spec: { readonly initContainers?: readonly Container[]; readonly containers: readonly Container[] } };
  };
}

/**
 * A copy of a server's own pods, guard and all, in which that guard has a fault, behind a Service of its own. The product has no switch for
 * this: whoever may edit workloads may preload code into any Node program.
 */
export async function brokenGuard(kubectl: Kubectl, namespace: string, server: string, name: string): Promise<void> {
  const original = JSON.parse(await kubectl(['get', 'deployment', server, '-n', namespace, '-o', 'json'])) as Deployment;
  const { spec: pod } = original.spec.template;
  const preload = { name: 'NODE_OPTIONS', value: `--import=data:text/javascript,${encodeURIComponent(FAULT)}` };
  const initContainers = pod.initContainers?.map((one) => (one.name === 'guard' ? { ...one, env: [...(one.env ?? []), preload] } : one));
  const labels = { app: name };
  const objects = [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { ...pod, initContainers } } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 15080 }] },
    },
  ];
  for (const object of objects) await kubectl(['apply', '-f', '-'], JSON.stringify(object));
  await kubectl(['rollout', 'status', `deployment/${name}`, '-n', namespace, '--timeout=120s']);
}
