import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { access } from './access.ts';
import { KubeApi } from './kubeapi.ts';
import { listServers } from './server.ts';

/** A shell waits for its answer: without one in this time, in milliseconds, there are no names to choose from. */
const patienceMs = 1_500;

/** Adds `completion <shell>`, and the hidden `complete` that the shells call; names of servers come from the cluster. */
export async function installCompletion(root: Command, argv: readonly string[]): Promise<void> {
  const completing = argv[0] === 'complete';
  if (!completing && argv[0] !== 'completion' && !argv.includes('--help') && argv.length > 0) return;
  // As a plugin of kubectl the command has a space in its name, which no completion script can have.
  if (argv.length > 0) root.name('mcp-fleet');
  const completion = tab(root, { completionCommandName: 'completion' });
  const names = completing ? await serverNames(argv) : [];
  for (const command of completion.commands.values()) {
    const server = command.arguments.get('server');
    if (server !== undefined) {
      server.handler = (complete) => {
        for (const name of names) complete(name, 'MCPServer');
      };
    }
  }
}

async function serverNames(argv: readonly string[]): Promise<readonly string[]> {
  const option = (...flags: readonly string[]) => argv[argv.findIndex((word) => flags.includes(word)) + 1];
  const given = (...flags: readonly string[]) => argv.some((word) => flags.includes(word));
  const kubeconfig = given('--kubeconfig') ? option('--kubeconfig') : undefined;
  const context = given('--context') ? option('--context') : undefined;
  try {
    await using cluster = await access({
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
    const namespace = given('-n', '--namespace') ? option('-n', '--namespace') : cluster.namespace;
    const servers = await listServers(new KubeApi(cluster, AbortSignal.timeout(patienceMs)), namespace);
    return servers.map(({ metadata }) => metadata.name);
  } catch {
    // No cluster, no rights, no time: completion of everything else still works, and an error text would land in the prompt.
    return [];
  }
}
