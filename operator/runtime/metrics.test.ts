import { expect, it } from 'vitest';
import { Metrics } from './metrics.ts';
import { WorkQueue } from './workqueue.ts';

/** What dashboards for controller-runtime expect, by name and labels. */
const EXPECTED = [
  'controller_runtime_active_workers{controller}',
  'controller_runtime_max_concurrent_reconciles{controller}',
  'controller_runtime_reconcile_errors_total{controller}',
  'controller_runtime_reconcile_panics_total{controller}',
  'controller_runtime_reconcile_time_seconds{controller}',
  'controller_runtime_reconcile_timeouts_total{controller}',
  'controller_runtime_reconcile_total{controller,result}',
  'controller_runtime_terminal_reconcile_errors_total{controller}',
  'kube_events_dropped_total{}',
  'kube_watch_events_total{store}',
  'kube_watch_failures_total{store}',
  'kube_watch_lists_total{how,store}',
  'kube_watch_restarts_total{store}',
  'leader_election_master_status{name}',
  'leader_election_slowpath_total{name}',
  'rest_client_request_duration_seconds{host,verb}',
  'rest_client_request_retries_total{code,host,verb}',
  'rest_client_requests_total{code,host,method}',
  'workqueue_adds_total{controller,name}',
  'workqueue_depth{controller,name,priority}',
  'workqueue_longest_running_processor_seconds{controller,name}',
  'workqueue_queue_duration_seconds{controller,name}',
  'workqueue_retries_total{controller,name}',
  'workqueue_unfinished_work_seconds{controller,name}',
  'workqueue_work_duration_seconds{controller,name}',
];

function filled() {
  const metrics = new Metrics({ process: false });
  const observers = metrics.controller('echo', 16);
  const queue = new WorkQueue({ observer: observers.queue });
  metrics.queueOf({ name: 'echo', queue });
  metrics.leader('lease');
  metrics.reflector('pods');
  metrics.initializeHost('api:443');
  return { metrics, observers, queue };
}

it('has every series from the start, with 0', async () => {
  const { metrics } = filled();
  const found = new Set<string>();
  for (const { name, values } of await metrics.registry.getMetricsAsJSON()) {
    for (const { labels } of values) {
      const keys = Object.keys(labels).filter((key) => key !== 'le');
      found.add(`${name}{${keys.toSorted().join(',')}}`);
    }
  }
  expect([...found].toSorted()).toEqual(EXPECTED);
  expect(await metrics.text()).toContain('controller_runtime_reconcile_total{controller="echo",result="error"} 0');
  expect(await metrics.text()).toContain('rest_client_requests_total{code="<error>",method="PATCH",host="api:443"} 0');
});

it('counts outcomes in the words of controller-runtime', async () => {
  const { metrics, observers } = filled();
  for (const outcome of ['success', 'requeue_after', 'requeue', 'error', 'terminal', 'panic', 'timeout'] as const) {
    observers.controller.started?.();
    observers.controller.finished?.(outcome, 0.01);
  }
  const text = await metrics.text();
  const expected = {
    'controller_runtime_reconcile_total{controller="echo",result="success"}': 1,
    'controller_runtime_reconcile_total{controller="echo",result="requeue_after"}': 1,
    'controller_runtime_reconcile_total{controller="echo",result="requeue"}': 1,
    'controller_runtime_reconcile_total{controller="echo",result="error"}': 4,
    'controller_runtime_reconcile_errors_total{controller="echo"}': 4,
    'controller_runtime_terminal_reconcile_errors_total{controller="echo"}': 1,
    'controller_runtime_reconcile_panics_total{controller="echo"}': 1,
    'controller_runtime_reconcile_timeouts_total{controller="echo"}': 1,
    'controller_runtime_active_workers{controller="echo"}': 0,
    'controller_runtime_max_concurrent_reconciles{controller="echo"}': 16,
  };
  for (const [series, value] of Object.entries(expected)) expect(text).toContain(`${series} ${value}\n`);
});

it('shows how deep the queue is, by priority', async () => {
  const { metrics, queue } = filled();
  queue.add('a');
  queue.add('b', { priority: 'low' });
  queue.add('c', { priority: 'low' });
  const text = await metrics.text();
  expect(text).toContain('workqueue_depth{name="echo",controller="echo",priority="0"} 1');
  expect(text).toContain('workqueue_depth{name="echo",controller="echo",priority="-100"} 2');
});

it('keeps two processes in one apart', () => {
  expect(() => [new Metrics(), new Metrics()]).not.toThrow();
});
