import { expect } from 'vitest';
import type { Fleet } from './fleet.ts';
import type { Kubectl } from './kubectl.ts';

/** What the kernel says about the first process of the server's container: its identity, rights, and the mount of its root. */
const INSPECTION = 'cat /proc/1/status /proc/1/mountinfo; (: > /escaped); echo "left with $?"';

/** Asserts that the one pod of a server runs as nobody, without rights, on a file system that it cannot change. */
export async function expectRestricted(fleet: Fleet, kubectl: Kubectl, namespace: string, name: string): Promise<void> {
  const [pod] = await fleet.pods(namespace, name);
  const shell = ['/bin/sh', '-c', `{ ${INSPECTION}; } 2>&1`];
  const inside = await kubectl(['exec', '-n', namespace, pod?.metadata.name ?? '', '-c', 'server', '--', ...shell]);
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
  const containers = [...(pod?.spec?.initContainers ?? []), ...(pod?.spec?.containers ?? [])];
  for (const { securityContext, terminationMessagePolicy } of containers) {
    // The guard says `runAsNonRoot` itself, since the pod's own may be changed by podSecurityContext; for the others the pod's holds.
    expect({ runAsNonRoot: true, ...securityContext }).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
    });
    expect(terminationMessagePolicy).toBe('FallbackToLogsOnError');
  }
  expect(pod?.spec?.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) expect(pod?.spec?.[field] ?? false).toBe(false);
}
