import { serverPort } from '../../../api/transport.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { type Key, keyOf } from '../../kube/object.ts';
import type { Event } from '../../kube/wire.ts';
import type { Wanted, Workload } from './availability.ts';
import { resources, unstartedSeconds } from './container.ts';
import type { PodWarning } from './poddiagnosis.ts';
import { isRootReadOnly } from './security.ts';
import { By, type Stores } from './stores.ts';
import { mountedSources } from './volumes.ts';

/** What runs for a server, as the stores know it. */
export function workload(stores: Pick<Stores, 'deployments' | 'pods' | 'warnings'>, key: Key): Workload {
  const pods = stores.pods.by(By.Server, key);
  return {
    deployment: stores.deployments.get(key),
    pods,
    warnings: pods.flatMap((pod) => stores.warnings.by(By.Pod, keyOf(pod.metadata)).map((event) => warning(pod.metadata.name, event))),
  };
}

const warning = (pod: string, { reason = '', note = '', series, deprecatedCount }: Event): PodWarning => ({
  pod,
  reason,
  message: note,
  count: series?.count ?? deprecatedCount ?? 1,
});

/** What a server's spec wants to run. */
export function wanted({ spec }: MCPServer): Wanted {
  const { memory: memoryLimit } = resources(spec).limits ?? {};
  return {
    suspended: spec.suspend,
    replicas: spec.autoscaling?.minReplicas ?? spec.replicas,
    maxUnavailable: spec.rollout.maxUnavailable,
    expected: {
      port: serverPort(spec.transport) ?? 0,
      env: (spec.env ?? []).map(({ name }) => name),
      memoryLimit,
      readOnlyRootFilesystem: isRootReadOnly(spec),
      unstartedSeconds: unstartedSeconds(spec),
      mounts: mountedSources(spec.mounts),
    },
  };
}
