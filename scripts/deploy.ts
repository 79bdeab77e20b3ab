import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { kubectlHere } from '../e2e/kubectl.ts';
import type { Kubectl } from '../e2e/kubectl.ts';
import { deployOperator, imageIdOf, installDefinitions, NAMESPACE, OPERATOR, removeDefinitions, removeOperator } from './installation.ts';
import { ROOT } from './sources.ts';
import { bring, target } from './target.ts';

/** `make install | uninstall | deploy | undeploy`, against the cluster of KUBECONFIG. `IMAGE` names an image that the cluster can pull. */
const ARCHIVE = join(ROOT, 'dist/image.tar');

interface Command {
  /** Answers what else is to be said in the end. */
  readonly run: (kubectl: Kubectl) => Promise<string | void>;
  readonly done: string;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  install: { run: installDefinitions, done: 'the CRDs are established' },
  uninstall: { run: removeDefinitions, done: 'the CRDs are gone, and every MCPServer with them' },
  deploy: { run: deploy, done: 'the operator runs' },
  undeploy: { run: undeploy, done: 'the operator is gone; MCPServers and all that was made for them stay' },
};

const [name = ''] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  throw new TypeError(`no command ${JSON.stringify(name)}; commands are ${Object.keys(COMMANDS).join(', ')}`);
}
try {
  const more = await command.run(await kubectlHere());
  process.stdout.write(`${command.done}${typeof more === 'string' ? `; ${more}` : ''}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function deploy(kubectl: Kubectl): Promise<void> {
  const image = process.env['IMAGE'] ?? '';
  await deployOperator(kubectl, image === '' ? await fromArchive(kubectl) : { image });
  process.stdout.write(await kubectl(['rollout', 'status', '--namespace', NAMESPACE, `deployment/${OPERATOR}`, '--timeout=3m']));
}

async function undeploy(kubectl: Kubectl): Promise<string | void> {
  const kept = await removeOperator(kubectl);
  if (kept.length > 0) return `so does namespace ${NAMESPACE}, for it holds ${kept.join(', ')}`;
}

async function fromArchive(kubectl: Kubectl): Promise<{ readonly imageId: string }> {
  await access(ARCHIVE);
  const where = await target(kubectl);
  if (!(await bring(ARCHIVE, where))) {
    const context = where.type === 'Other' ? where.context : where.name;
    throw new Error(
      `the image cannot be loaded into the cluster of context ${context}: push dist/image.tar to a registry that it pulls from, ` +
        'for example with `skopeo copy docker-archive:dist/image.tar docker://registry.example.com/mcp-fleet-operator:dev`, then `make deploy IMAGE=…`',
    );
  }
  return { imageId: await imageIdOf(ARCHIVE) };
}
