import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { inCluster, type Context, type Environment, type SharedOptions } from './context.ts';
import { CommandError, ExitCode } from './exit.ts';
import { outputFormats } from './output.ts';
import { installCompletion } from './completion.ts';
import type { ApproveOptions } from './commands/approve.ts';
import type { ExplainOptions } from './commands/explain.ts';
import type { LogOptions } from './commands/logs.ts';
import type { PolicyInitOptions } from './commands/policy.ts';

const exitCodes = `
Exit codes:
  0  done
  1  unexpected failure
  2  the command line makes no sense
  3  the server, or what belongs to it, does not exist
  4  the server is not ready for that
  5  the tool ran and says that it failed
  6  refused: by the cluster's RBAC, authentication, a policy or the server
  7  the cluster or the server cannot be reached
  8  explain: it is refused
  9  explain: it depends on arguments that were not given
`;

/** The command line. Command modules are loaded when they run, so that help and completion answer at once. */
export function program(environment: Environment, name: string, version: string): Command {
  const root = new Command(name)
    .description('Looks at MCP servers in a Kubernetes cluster and calls their tools.')
    .version(version, '-V, --version')
    .addHelpText('after', exitCodes)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeOut: (text) => environment.terminal.out(text), writeErr: (text) => environment.terminal.err(text) });
  const run = (options: SharedOptions, command: (context: Context) => Promise<void>) => inCluster(environment, options, command);

  shared(root.command('tree [server]').description('Shows a server and everything it owns, with its state, and why it is not Ready'), {
    all: true,
  }).action(async (server: string | undefined, options: SharedOptions) => {
    const { tree } = await import('./commands/tree.ts');
    await run(options, (context) => tree(context, server));
  });
  shared(
    root.command('status [server]').description('Shows conditions with reasons, and what to do; without a server, one line for each'),
    {
      all: true,
    },
  ).action(async (server: string | undefined, options: SharedOptions) => {
    const { status } = await import('./commands/status.ts');
    await run(options, (context) => status(context, server));
  });
  const tools = root
    .command('tools')
    .argument('<server>', 'MCPServer')
    .description('Lists the tools of a server as the operator last saw them, and whether they are trusted as they are');
  shared(tools).action(async (server: string, options: SharedOptions) => {
    const module = await import('./commands/tools.ts');
    await run(options, (context) => module.tools(context, server));
  });
  shared(tools.command('approve <server> [tools...]').description('Shows which tools are new or changed, and trusts those named, or --all'))
    .option('--all', 'approve all of them')
    .option('--dry-run', 'write nothing')
    .option('--key <key>', 'data key of the ConfigMap that is written; others stay as they are', dataKey, 'approved.json')
    .option('--force-conflicts', 'take the data key over from another field manager')
    .action(async (server: string, names: string[], _: unknown, command: Command) => {
      const options = command.optsWithGlobals<SharedOptions & ApproveOptions>();
      const { approve } = await import('./commands/approve.ts');
      await run(options, (context) => approve(context, server, names, options));
    });
  const policy = root.command('policy').description('Drafts policies');
  shared(policy.command('init <server>').description('Prints a policy that allows, by name, the tools of a server up to a class'))
    .addOption(new Option('--class <class>', 'most dangerous class that is allowed').choices(toolClasses).default('ReadOnly'))
    .addOption(new Option('--mode <mode>', 'Audit: refuses nothing and records').choices(['Enforce', 'Audit']).default('Enforce'))
    .action(async (server: string, options: SharedOptions & PolicyInitOptions) => {
      const { policyInit } = await import('./commands/policy.ts');
      await run(options, (context) => policyInit(context, server, options));
    });
  const explain = root
    .command('explain [server]')
    .description('Says which policy, rule, class, pin or setting decides, and why; without an object, for all tools');
  shared(explain)
    .option('--tool <name>', 'a call of this tool')
    .option('--prompt <name>', 'a prompt')
    .option('--resource <uri>', 'reading a resource')
    .option('--method <method>', 'another method of MCP, such as logging/setLevel or sampling/createMessage')
    .option('--as <subject>', 'who calls: anonymous, user:NAME, sa:NAMESPACE/NAME or jwt:ISSUER', 'anonymous')
    .option('--groups <groups>', 'groups of the token, with commas', list)
    .option('--scopes <scopes>', 'scopes of the token, with commas', list)
    .option('--args <arguments...>', 'arguments: one JSON object, @file, or key=value; {} is none')
    .option('--request <id>', "explains a request by its record in the guards' logs")
    .option('-f, --filename <file>', 'instead of a cluster: manifests of the server and its policies; may be repeated', collect, [])
    .option('--inventory <file>', 'with -f: the tools, as mcp-fleet tools -o json or tools/list has them')
    .option('--operator-namespace <namespace>', 'with -f: where the operator runs', 'mcp-fleet-system')
    .addOption(
      new Option('--ambient <posture>', "with -f: the operator's --ambient").choices(['Allow', 'ReadOnly', 'Deny']).default('Allow'),
    )
    .action(async (server: string | undefined, options: ExplainOptions) => {
      const module = await import('./commands/explain.ts');
      await module.explain(environment, server, options);
    });
  shared(
    root.command('call <server> <tool> [arguments...]').description('Calls a tool: key=value as its schema wants it, key:=json for JSON'),
  )
    .option('--json <json>', 'all arguments as one JSON object; @file reads a file, - standard input')
    .option('-H, --header <header>', '"Name: value" for the server; may be repeated', collect, [])
    .option('--timeout <seconds>', 'how long the call may take', seconds, 60)
    .action(async (server: string, tool: string, assignments: string[], options: CallFlags) => {
      const { call } = await import('./commands/call.ts');
      const { json, header, timeout } = options;
      const rest = { assignments, headers: header, timeout, ...(json === undefined ? {} : { json }) };
      await run(options, (context) => call(context, environment, server, tool, rest));
    });
  shared(root.command('logs <server>').description('Prints the log of a server, of all its pods'), { output: false })
    .option('-f, --follow', 'go on as lines are written')
    .option('-p, --previous', 'the log of the container before its last restart')
    .option('-c, --container <name>', 'container; default: server, or guard where the server runs elsewhere (remote, service)')
    .option('--tail <lines>', 'only the last lines of each pod', whole)
    .option('--since <duration>', 'only what is newer: 30s, 5m, 2h', duration)
    .option('--timestamps', 'each line begins with its time')
    .action(async (server: string, options: SharedOptions & LogOptions) => {
      const { logs } = await import('./commands/logs.ts');
      await run(options, (context) => logs(context, server, options));
    });
  shared(root.command('restart <server>').description('Replaces the pods of a server one by one')).action(
    async (server: string, options: SharedOptions) => {
      const { restart } = await import('./commands/restart.ts');
      await run(options, (context) => restart(context, server));
    },
  );
  root
    .command('audit')
    .description("Works on the guards' audit records")
    .command('verify [file]')
    .description('Verifies that no audit record of a log was changed or removed; without a file, of standard input')
    .action(async (file: string | undefined) => {
      const { verifyAudit } = await import('./commands/audit.ts');
      await verifyAudit(environment, file);
    });
  return root;
}

interface CallFlags extends SharedOptions {
  readonly json?: string;
  readonly header: string[];
  readonly timeout: number;
}

function shared(command: Command, { all = false, output = true }: { readonly all?: boolean; readonly output?: boolean } = {}): Command {
  command
    .option('-n, --namespace <namespace>', "namespace; default: the context's")
    .option('--context <context>', 'context of the kubeconfig; default: the current one')
    .option('--kubeconfig <file>', 'default: KUBECONFIG, then ~/.kube/config');
  if (all) command.option('-A, --all-namespaces', 'servers of all namespaces');
  if (output) command.addOption(new Option('-o, --output <format>', 'for programs').choices(outputFormats));
  return command;
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

const toolClasses = ['ReadOnly', 'NonDestructive', 'Destructive'] as const;

function dataKey(value: string): string {
  if (!/^[-._a-zA-Z0-9]{1,253}$/.test(value) || value === 'first.json') {
    throw new InvalidArgumentError('a data key has letters, digits, "-", "_" and "."; first.json is the operator\'s');
  }
  return value;
}

function list(value: string): string[] {
  return value.split(',').filter((part) => part !== '');
}

function whole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('a whole number is wanted');
  return Number(value);
}

function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 86_400)) throw new InvalidArgumentError('seconds between 0 and 86400 are wanted');
  return number;
}

/** Seconds of `90s`, `5m`, `2h`. */
export function duration(value: string): number {
  const match = /^(\d{1,6})(s|m|h)$/.exec(value);
  if (match === null) throw new InvalidArgumentError('a duration such as 30s, 5m or 2h is wanted');
  return Number(match[1]) * { s: 1, m: 60, h: 3_600 }[match[2] as 's' | 'm' | 'h'];
}

/** Runs one command line to its exit code; failures become a message on stderr. */
export async function run(environment: Environment, name: string, version: string, argv: readonly string[]): Promise<ExitCode> {
  const root = program(environment, name, version);
  try {
    await installCompletion(root, argv);
    await root.parseAsync([...argv], { from: 'user' });
    return ExitCode.Done;
  } catch (error) {
    if (environment.signal.aborted) return ExitCode.Failed;
    // Commander has printed its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.Done : ExitCode.Usage;
    if (!(error instanceof CommandError)) throw error;
    if (error.message !== '') environment.terminal.err(`${name}: ${error.message}\n`);
    return error.exitCode;
  }
}
