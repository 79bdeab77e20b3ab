import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { faulty, Fleet } from '../fleet.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';

let fleet: Fleet;
let kubectl: Kubectl;

beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});

afterAll(() => fleet[Symbol.asyncDispose]());

/** Every kind of pod that the operator makes. Each runs in a namespace that enforces the Pod Security Standard `restricted`. */
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
  'a package of npm': {
    package: { npm: { name: '@modelcontextprotocol/server-everything', version: '2026.7.4' }, args: ['streamableHttp'] },
    env: [{ name: 'PORT', value: '8080' }],
  },
  'a package of PyPI': {
    package: {
      pypi: { name: 'duckduckgo-mcp-server', version: '0.7.0' },
      args: ['--transport', 'streamable-http', '--host', '0.0.0.0', '--port', '8080'],
    },
  },
};

/** What the kernel says about the first process of the server's container: its identity, rights, and the mount of its root. */
const INSPECTION = 'cat /proc/1/status /proc/1/mountinfo; (: > /escaped); echo "left with $?"';

for (const [index, [what, spec]] of Object.entries(workloads).entries()) {
  test.concurrent(`${what} runs as nobody, without rights, on a file system that it cannot change`, { timeout: 300_000 }, async () => {
    const namespace = await fleet.namespace();
    const name = `workload-${index}`;
    await fleet.apply(namespace, name, spec);
    await fleet.ready(namespace, name, 240);
    const [pod] = await fleet.pods(namespace, name);

    const inside = await kubectl([
      'exec',
      '-n',
      namespace,
      pod?.metadata.name ?? '',
      '-c',
      'server',
      '--',
      '/bin/sh',
      '-c',
      `{ ${INSPECTION}; } 2>&1`,
    ]);
    for (const line of [
      /^Uid:\s+65532\s+65532\s+65532\s+65532$/m,
      /^Gid:\s+65532\s+65532\s+65532\s+65532$/m,
      /^NoNewPrivs:\s+1$/m,
      /^Seccomp:\s+2$/m,
      ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) => new RegExp(`^${set}:\\s+0000000000000000$`, 'm')),
      // The root of the container is the mount at `/`.
      /^\d+ \d+ \S+ \/ \/ ro[, ]/m,
      /escaped: Read-only file system/,
      /^left with [12]$/m,
    ]) {
      expect(inside).toMatch(line);
    }
    // Neither may a container of a later revision be more than this.
    const containers = [...(pod?.spec?.initContainers ?? []), ...(pod?.spec?.containers ?? [])];
    for (const { securityContext, terminationMessagePolicy } of containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      });
      expect(terminationMessagePolicy).toBe('FallbackToLogsOnError');
    }
    expect(pod?.spec?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) expect(pod?.spec?.[field] ?? false).toBe(false);
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
