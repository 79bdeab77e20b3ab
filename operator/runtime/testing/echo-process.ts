import { setTimeout as sleep } from 'node:timers/promises';
import { kubeconfig } from '../../kube/kubeconfig.ts';
import { ConfigMaps } from '../../kube/resources.ts';
import { logger } from '../log.ts';
import { runProcess } from '../process.ts';
import { echoOperator } from './echo-operator.ts';

/** One replica of the operator as a process: `echo-process.ts KUBECONFIG IDENTITY [TICK]`. It writes every `TICK` milliseconds while it leads. */
const [path, identity = 'echo', tick = '25'] = process.argv.slice(2);
const log = logger();
const operator = echoOperator(await kubeconfig({ path }), log, {
  identity,
  leaderElection: { name: 'echo-operator', namespace: 'default' },
  health: { port: 0, host: '127.0.0.1' },
});
let count = 0;
let writing = Promise.resolve();
operator.manager.add({
  name: 'writer',
  start: async (signal) => {
    writing = (async () => {
      while (!signal.aborted) {
        count += 1;
        const object = {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: `tick-${count % 8}`, namespace: 'default' },
          data: { by: identity, count: String(count) },
        } as const;
        // Many at a time, so that some wait for a socket when the process is stopped.
        void operator.manager.client
          .apply(ConfigMaps, object, { fieldManager: 'writer' })
          .catch((err: unknown) => log.info({ err }, 'write held back'));
        await sleep(Number(tick), undefined, { signal }).catch(() => {});
      }
    })();
  },
  stop: () => writing,
});
void runProcess(operator.manager, log, { close: () => operator.transport.close() });
