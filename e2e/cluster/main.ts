import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, dirname, relative } from 'node:path';
import { binaries } from './binaries.ts';
import { down, find, load, namedClusters, shell, up } from './named.ts';

const USAGE = `Usage: node e2e/cluster/main.ts up NAME [--control-plane-only] [--metrics-server]
       node e2e/cluster/main.ts load NAME ARCHIVE
       node e2e/cluster/main.ts shell NAME
       node e2e/cluster/main.ts down NAME
       node e2e/cluster/main.ts status

CONTROL_PLANE_ONLY=1 and METRICS_SERVER=1 in the environment do the same as the options.`;

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  up: startNamed,
  load: loadImage,
  shell: openShell,
  down: stopNamed,
  status: printStatus,
};

try {
  const [command = '', ...args] = process.argv.slice(2);
  const action = COMMANDS[command];
  if (action === undefined) {
    throw new Error(USAGE);
  }
  process.exitCode = await action(args);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function startNamed(args: readonly string[]): Promise<number> {
  const [name] = positional(args, 1);
  const started = performance.now();
  const cluster = await up(name, {
    controlPlaneOnly: isOn(args, 'control-plane-only'),
    metricsServer: isOn(args, 'metrics-server'),
    progress: say,
  });
  const kubeconfig = relative(process.cwd(), cluster.kubeconfigPath);
  say(`Cluster ${name} (${cluster.provider}) was ready after ${seconds(started)} s; to use it:`);
  say(`  export KUBECONFIG=${kubeconfig}`);
  return 0;
}

async function loadImage(args: readonly string[]): Promise<number> {
  const [name, archive] = positional(args, 2);
  const started = performance.now();
  const images = await load(name, archive);
  say(`Loaded ${images.length === 0 ? archive : images.join(', ')} into cluster ${name} in ${seconds(started)} s`);
  return 0;
}

async function openShell(args: readonly string[]): Promise<number> {
  const [name] = positional(args, 1);
  const [file, ...rest] = await shell(name);
  const { kubectl } = await binaries(['kubectl'], say);
  const cluster = await find(name);
  say(`A shell in the network of cluster ${name}; exit leaves it`);
  const child = spawn(file, rest, {
    stdio: 'inherit',
    env: {
      ...process.env,
      KUBECONFIG: cluster?.kubeconfigPath,
      PATH: `${dirname(kubectl)}${delimiter}${process.env['PATH'] ?? ''}`,
    },
  });
  // Ctrl-C is for what runs in the shell.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

async function stopNamed(args: readonly string[]): Promise<number> {
  const [name] = positional(args, 1);
  say((await down(name)) ? `Cluster ${name} was stopped and removed` : `There is no cluster ${name}`);
  return 0;
}

async function printStatus(): Promise<number> {
  const clusters = await namedClusters();
  if (clusters.length === 0) {
    say('No clusters; make cluster-up NAME=demo starts one');
  }
  for (const { name, running, provider, details, kubeconfigPath } of clusters) {
    say(`${name}  ${running ? 'running' : 'stopped'}  ${provider}  ${running ? relative(process.cwd(), kubeconfigPath) : '-'}  ${details}`);
  }
  return 0;
}

function positional(args: readonly string[], count: 1): [string];
function positional(args: readonly string[], count: 2): [string, string];
function positional(args: readonly string[], count: number): string[] {
  const values = args.filter((arg) => !arg.startsWith('--') && arg !== '');
  if (values.length !== count) {
    throw new Error(USAGE);
  }
  return values;
}

function isOn(args: readonly string[], option: string): boolean {
  const variable = process.env[option.toUpperCase().replaceAll('-', '_')] ?? '';
  return args.includes(`--${option}`) || !['', '0', 'false', 'no'].includes(variable);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}
