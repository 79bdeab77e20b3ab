import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { down, find, load, up } from '../e2e/cluster/named.ts';
import type { NamedCluster } from '../e2e/cluster/provider.ts';
import { run } from '../e2e/cluster/run.ts';
import { EVERYTHING_PUBLISHED, everythingImage, KUBERNETES_MCP_SERVER_PUBLISHED, kubernetesMcpServerImage } from '../e2e/images/servers.ts';
import { NODE_PUBLISHED, nodeImage } from '../e2e/images/node.ts';
import { kubectlFor, kubectlHere } from '../e2e/kubectl.ts';
import type { Kubectl } from '../e2e/kubectl.ts';
import { MACHINE_ADDRESS } from '../e2e/cluster/addresses.ts';
import { standingRegistry } from '../e2e/registry/daemon.ts';
import { Progress } from './demo/progress.ts';
import { serversReady } from './demo/servers.ts';
import { deployOperator, imageIdOf, NAMESPACE as OPERATOR_NAMESPACE, OPERATOR, removeDefinitions, removeOperator } from './installation.ts';
import type { Deviations } from './installation.ts';
import { ROOT } from './sources.ts';
import { bring, target } from './target.ts';

/**
 * `make demo`: a cluster, the operator, three real MCP servers under a read-only policy, and two calls to each: one that is allowed and one that is not.
 *
 * `CLUSTER=current` takes the cluster of KUBECONFIG; otherwise kind where Docker runs, else the built-in cluster. `NAME` names it.
 */
const NAME = process.env['NAME'] ?? 'demo';
const CURRENT = process.env['CLUSTER'] === 'current';
const EXAMPLE = 'examples/quickstart';
const NAMESPACE = 'mcp-quickstart';
const ARCHIVE = join(ROOT, 'dist/image.tar');

interface Call {
  readonly typed: readonly string[];
  /** Who refuses it; absent: nobody. */
  readonly refusedBy?: 'its guard, by policy read-only' | 'the API server, by RBAC';
}

/** What is called in the end, as a user would type it. */
const CALLS: Readonly<Record<string, readonly Call[]>> = {
  everything: [
    { typed: ['echo', 'message=hello from a pod'] },
    { typed: ['toggle-simulated-logging'], refusedBy: 'its guard, by policy read-only' },
  ],
  'from-npm': [
    { typed: ['get-sum', 'a=19', 'b=23'] },
    { typed: ['toggle-simulated-logging'], refusedBy: 'its guard, by policy read-only' },
  ],
  kubernetes: [
    { typed: ['pods_list_in_namespace', `namespace=${NAMESPACE}`] },
    { typed: ['pods_delete', 'name=any', `namespace=${NAMESPACE}`], refusedBy: 'its guard, by policy read-only' },
    { typed: ['pods_list_in_namespace', 'namespace=kube-system'], refusedBy: 'the API server, by RBAC' },
  ],
};

const progress = new Progress();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    progress.say(`interrupted; what was made is still there: ${removal()}`);
    process.exit(130);
  });
}
try {
  await (process.argv[2] === 'down' ? remove() : demonstrate());
} catch (error) {
  progress.say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function demonstrate(): Promise<void> {
  progress.say('building the operator image from the Dockerfile');
  const [kubectl, kubeconfig, cluster] = await Promise.all([clusterReady(), imageBuilt()]).then(([ready]) => ready);
  const deviations = cluster === undefined ? await intoForeign(kubectl) : await intoOwn(cluster);
  progress.say('installing CRDs, rights and the operator (two replicas)');
  await deployOperator(kubectl, deviations);
  progress.say(`applying ${EXAMPLE}`);
  await kubectl(['apply', '--server-side', '-k', join(ROOT, EXAMPLE)]);
  await kubectl(['rollout', 'status', '--namespace', OPERATOR_NAMESPACE, `deployment/${OPERATOR}`, '--timeout=3m']);
  progress.say('the operator runs; waiting for the servers to answer MCP, and for their guards to have the policy');
  await serversReady(kubectl, NAMESPACE, progress, 180_000);
  await present(kubectl, kubeconfig);
  progress.show('Go on');
  const use = CURRENT ? '' : `  export KUBECONFIG=${kubeconfig?.replace(`${ROOT}/`, '') ?? ''}\n`;
  process.stdout.write(`${use}  kubectl get mcps -n ${NAMESPACE}\n  npm run --silent mcp-fleet -- --help\n\n  ${removal()}\n\n`);
  progress.say('done');
}

type Ready = readonly [kubectl: Kubectl, kubeconfig: string | undefined, cluster: NamedCluster | undefined];

async function clusterReady(): Promise<Ready> {
  if (CURRENT) {
    const kubectl = await kubectlHere();
    progress.say(`using the cluster of context ${(await kubectl(['config', 'current-context'])).trim()}`);
    const where = await target(kubectl);
    return [kubectl, process.env['KUBECONFIG'], where.type === 'Ours' ? await find(where.name) : undefined];
  }
  const cluster = await up(NAME, { controlPlaneOnly: false, metricsServer: false, progress: (line) => progress.say(line) });
  progress.say(`cluster ${NAME} is ready (${cluster.provider})`);
  return [await kubectlFor(cluster.kubeconfigPath), cluster.kubeconfigPath, cluster];
}

async function imageBuilt(): Promise<void> {
  await run(['node', join(ROOT, 'scripts/image.ts')]);
  progress.say('the operator image is built');
}

async function intoForeign(kubectl: Kubectl): Promise<Deviations> {
  const image = process.env['IMAGE'] ?? '';
  if (image !== '') {
    return { image };
  }
  if (!(await bring(ARCHIVE, await target(kubectl)))) {
    throw new Error('the cluster pulls its images from a registry: push dist/image.tar to one, then `make demo CLUSTER=current IMAGE=…`');
  }
  return { imageId: await imageIdOf(ARCHIVE) };
}

/** The built-in cluster has no way out: it gets the images of the servers and a package registry, too. */
async function intoOwn({ name, provider }: NamedCluster): Promise<Deviations> {
  const imageId = await imageIdOf(ARCHIVE);
  if (provider === 'kind') {
    await load(name, ARCHIVE);
    return { imageId };
  }
  const folder = join(ROOT, '.clusters', name);
  const archives = [
    ['the operator', () => Promise.resolve(ARCHIVE)],
    ['server-everything', () => everythingImage(EVERYTHING_PUBLISHED)],
    ['kubernetes-mcp-server', () => kubernetesMcpServerImage(KUBERNETES_MCP_SERVER_PUBLISHED)],
    ['Node 24 with npm', () => nodeImage(NODE_PUBLISHED)],
  ] as const;
  const registry = standingRegistry(MACHINE_ADDRESS, join(folder, 'registry.json'), join(folder, 'registry.log'));
  for (const [what, make] of archives) {
    await load(name, await make());
    progress.say(`loaded the image of ${what}`);
  }
  const { npmUrl } = await registry;
  progress.say('a package registry serves the pods');
  return { imageId, flags: [`--npm-registry=${npmUrl}`] };
}

async function present(kubectl: Kubectl, kubeconfig: string | undefined): Promise<void> {
  progress.show('What was made');
  await cli(kubeconfig, ['tree', '--namespace', NAMESPACE]);
  const names = (await kubectl(['get', 'mcpservers', '--namespace', NAMESPACE, '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ');
  for (const name of names) {
    progress.show(`Tools of ${name}`);
    await cli(kubeconfig, ['tools', name, '--namespace', NAMESPACE]);
    for (const { typed, refusedBy } of CALLS[name] ?? []) {
      const call = [name, ...typed];
      progress.show(`mcp-fleet call ${call.join(' ')}${refusedBy === undefined ? '' : ` (refused by ${refusedBy})`}`);
      await cli(kubeconfig, ['call', '--namespace', NAMESPACE, ...call], refusedBy === undefined ? [0] : [5, 6]);
    }
  }
}

/** Errors: when the command ends with another code than those expected. */
function cli(kubeconfig: string | undefined, args: readonly string[], expected: readonly number[] = [0]): Promise<void> {
  const env = { ...process.env, ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }) };
  return new Promise((resolve, reject) => {
    // What is refused is told on stderr; here it belongs under its heading.
    const child = spawn('node', [join(ROOT, 'cli/main.ts'), ...args], { env, stdio: ['inherit', 'inherit', process.stdout] });
    child.once('error', reject);
    child.once('exit', (code) =>
      expected.includes(code ?? 1) ? resolve() : reject(new Error(`mcp-fleet ${args.join(' ')} ended with ${code}`)),
    );
  });
}

function removal(): string {
  return CURRENT
    ? 'CLUSTER=current make demo-down      # removes the servers, the operator and the CRDs'
    : `make demo-down      # removes the cluster and everything in it`;
}

async function remove(): Promise<void> {
  if (CURRENT) {
    const kubectl = await kubectlHere();
    await kubectl(['delete', '--ignore-not-found', '--wait', '--timeout=120s', '-k', join(ROOT, EXAMPLE)]);
    const kept = await removeOperator(kubectl);
    await removeDefinitions(kubectl);
    progress.say('the servers, the operator and the CRDs are gone');
    if (kept.length > 0) progress.say(`namespace ${OPERATOR_NAMESPACE} stays: it held ${kept.join(', ')}, which went with the CRDs`);
    return;
  }
  progress.say((await down(NAME)) ? `cluster ${NAME} is gone` : `there is no cluster ${NAME}`);
}
