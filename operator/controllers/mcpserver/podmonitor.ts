import { MCP_PORT_NAME } from '../../../api/group.ts';
import type { Untyped } from '../../kube/resources.ts';
import { hasWorkload, type ChildInput } from './input.ts';
import { childMeta, selector } from './names.ts';

/** Name of the guard's port for metrics. */
const METRICS_PORT_NAME = 'metrics';

/** Made as soon as the cluster has the Prometheus operator. Without a guard the only port that can serve metrics is the server's own. */
export function podMonitor({ server, has }: ChildInput): Untyped | undefined {
  const { enabled, labels = {} } = server.spec.telemetry.podMonitor;
  if (!enabled || !has.podMonitors || !hasWorkload(server)) return undefined;
  const metadata = childMeta(server);
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: { ...metadata, labels: { ...labels, ...metadata.labels } },
    spec: {
      selector: { matchLabels: selector(server) },
      podMetricsEndpoints: [{ port: server.spec.guard.enabled ? METRICS_PORT_NAME : MCP_PORT_NAME, path: '/metrics' }],
    },
  };
}
