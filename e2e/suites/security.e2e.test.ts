import { afterAll, beforeAll, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { faulty, Fleet } from '../fleet.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { expectRestricted } from '../restricted.ts';

let fleet: Fleet;
let kubectl: Kubectl;

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});

afterAll(() => fleet[Symbol.asyncDispose]());

/** Packages are looked at where they are installed anyway, in servers.e2e. Each runs in a namespace that enforces the Pod Security Standard `restricted`. */
const workloads: Readonly<Record<string, MCPServerSpecInput>> = {
  'a container': faulty(),
  'a container with rights in the cluster': faulty([], {
    kubernetesAccess: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] },
  }),
  'a container with volumes': faulty([], {
    mounts: [
      { mountPath: '/data', emptyDir: {} },
      { mountPath: '/etc/ca', configMap: { name: 'kube-root-ca.crt' } },
    ],
  }),
};

for (const [index, [what, spec]] of Object.entries(workloads).entries()) {
  test.concurrent(`${what} runs as nobody, without rights, on a file system that it cannot change`, async () => {
    const namespace = await fleet.namespace();
    const name = `workload-${index}`;
    await fleet.apply(namespace, name, spec);
    await fleet.ready(namespace, name);
    await expectRestricted(fleet, kubectl, namespace, name);
  });
}

test.concurrent('what a server asks to have beyond that is refused by the namespace, in words', async () => {
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, 'root', faulty([], { podSecurityContext: { runAsNonRoot: false, runAsUser: 0 } }));
  await fleet.until(namespace, 'root', 'Available', {
    status: 'False',
    reason: 'CreateContainerFailed',
    message: /Pods cannot be created: .*violates PodSecurity "restricted:latest": .*runAsNonRoot/,
  });
});
