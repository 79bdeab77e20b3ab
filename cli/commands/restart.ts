import type { Context } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { deployments } from '../kinds.ts';
import { print } from '../output.ts';
import { findServer, resourceName } from '../server.ts';

/** What `kubectl rollout restart` writes, so that both are one thing to Kubernetes and to the operator. */
const restartedAt = 'kubectl.kubernetes.io/restartedAt';

/** Replaces the pods of a server, one by one, as its rollout settings say. */
export async function restart({ api, terminal, namespace, output, now }: Context, name: string): Promise<void> {
  const server = await findServer(api, namespace, name);
  if (server.spec.suspend || server.spec.replicas === 0)
    throw new CommandError(ExitCode.NotReady, `${name} is suspended or scaled to zero: there are no pods to replace`);
  const deployment = await api.find(deployments, namespace, name);
  if (deployment === undefined)
    throw new CommandError(ExitCode.NotReady, `${name} has no Deployment yet: mcp-fleet status ${name} tells why`);
  const time = now().toISOString();
  const body = { spec: { template: { metadata: { annotations: { [restartedAt]: time } } } } };
  await api.mergePatch(deployments, namespace, name, body, 'mcp-fleet-cli');
  print(terminal, output, {
    data: { server: name, namespace, restartedAt: time },
    names: [resourceName(server)],
    text: () => `${name} restarts. Follow it with: kubectl rollout status -n ${namespace} deployment/${name}\n`,
  });
}
