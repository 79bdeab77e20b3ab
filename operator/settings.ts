import { parseArgs } from 'node:util';
import { z } from 'zod';
import pkg from '../package.json' with { type: 'json' };
import { milliseconds } from '../api/schema/duration.ts';

/** A comma-separated list; empty entries do not count. */
const List = z.string().transform((text) =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ''),
);
const Switch = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((text) => text === 'true');
const PortNumber = z.coerce.number({ error: 'must be a port' }).int().min(0).max(65_535);
const Count = z.coerce.number({ error: 'must be a number' }).int().min(1).max(10_000);
const Milliseconds = z
  .string()
  .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/, { error: 'must be a duration such as 30s' })
  .transform(milliseconds);
const Registry = z
  .union([z.literal(''), z.url({ protocol: /^https?$/ })], { error: 'must be an http or https URL' })
  .transform((text) => (text === '' ? undefined : text));

/** Each flag `--like-this` is also read from the environment variable `MCP_FLEET_LIKE_THIS`; the flag wins. */
const Flags = z.object({
  namespaces: List.default([]).describe('Namespaces to work in, separated by commas. Default: all.'),
  'grantable-cluster-roles': List.default(['view']).describe('ClusterRoles that kubernetesAccess.clusterRoles may name. Default: view.'),
  'secret-rotation': Switch.default(false).describe(
    'Watch the metadata of Secrets, so that a changed one replaces the pods that use it. Needs the role mcp-fleet-secret-rotation. Default: false.',
  ),
  'private-issuers': List.default([]).describe(
    'Hosts that the keys of token issuers may be fetched from although their address is private, separated by commas; *.corp.example is every name below. Default: none.',
  ),
  'assign-ids': Switch.default(true).describe(
    'Run pods as user, group and fsGroup 65532. false where the platform assigns them, as OpenShift does. Default: true.',
  ),
  'cluster-domain': z.string().min(1).default('cluster.local').describe('DNS domain of the cluster. Default: cluster.local.'),
  'npm-image': z.string().min(1).default('node:24-slim').describe('Image that runs npm packages. Default: node:24-slim.'),
  'pypi-image': z
    .string()
    .min(1)
    .default('ghcr.io/astral-sh/uv:0.9-python3.13-bookworm-slim')
    .describe('Image that runs Python packages. Default: ghcr.io/astral-sh/uv:0.9-python3.13-bookworm-slim.'),
  'npm-registry': Registry.optional().describe("Where npm packages come from. Default: npm's own."),
  'pypi-index': Registry.optional().describe('Where Python packages come from. Default: PyPI.'),
  'guard-image': z
    .string()
    .min(1)
    .default(`ghcr.io/mcp-fleet/mcp-fleet-operator:${pkg.version}`)
    .describe("Image that runs the guards. Default: this release's own."),
  ambient: z
    .enum(['Allow', 'ReadOnly', 'Deny'], { error: 'must be Allow, ReadOnly or Deny' })
    .default('Allow')
    .describe('What guards do where no MCPToolPolicy selects the server: Allow, ReadOnly or Deny. Default: Allow.'),
  'leader-elect': Switch.default(false).describe('Let one of several replicas work at a time, by a Lease. Default: false.'),
  'lease-namespace': z.string().default('').describe("Namespace of the Lease. Default: the operator's."),
  'health-port': PortNumber.default(8081).describe('Port of /healthz and /readyz; 0: any. Default: 8081.'),
  'metrics-port': PortNumber.default(8443).describe('Port of /metrics, TLS for whom RBAC allows it; 0: none. Default: 8443.'),
  'metrics-cert-dir': z
    .string()
    .default('')
    .describe('Directory with tls.crt and tls.key for /metrics. Default: a certificate made at the start.'),
  workers: Count.default(16).describe('Servers that are reconciled at a time. Default: 16.'),
  verifications: Count.default(256).describe('Servers that are verified at a time. Default: 256.'),
  'verify-through': z
    .enum(['auto', 'service', 'api-server'], { error: 'must be auto, service or api-server' })
    .default('auto')
    .describe('How servers are reached: directly by their Service, or through the API server. Default: auto, directly in a cluster.'),
  'shutdown-grace': Milliseconds.default(20_000).describe('How long reconciles may take to end. Default: 20s.'),
  'log-level': z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' })
    .default('info')
    .describe('Least severe lines that are logged. Default: info.'),
  kubeconfig: z.string().default('').describe('Kubeconfig file. Default: $KUBECONFIG, the ServiceAccount of the pod, or ~/.kube/config.'),
  context: z.string().default('').describe('Context of the kubeconfig. Default: its current one.'),
});

export type Settings = z.output<typeof Flags>;

/** A flag or variable that makes no sense. `message` has a line for each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const names = Object.keys(Flags.shape) as (keyof Settings)[];
const variable = (name: string): string => `MCP_FLEET_${name.replaceAll('-', '_').toUpperCase()}`;

/** What an invocation asks for: to run, or to be told how. Throws `SettingsError`. */
export function settings(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Settings | 'help' | 'version' {
  const given = flags(args);
  if (given['help'] === true) return 'help';
  if (given['version'] === true) return 'version';
  const input = Object.fromEntries(
    names.map((name) => {
      const fromEnvironment = env[variable(name)];
      // An empty variable is how templates leave one out; an empty flag is meant.
      return [name, given[name] ?? (fromEnvironment === '' ? undefined : fromEnvironment)];
    }),
  );
  const parsed = Flags.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new SettingsError(parsed.error.issues.map(({ path, message }) => `--${path.join('.')} ${message}`).join('\n'));
}

function flags(args: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
      allowPositionals: false,
    });
    return values;
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The text of `--help`, one flag a line. */
export function help(): string {
  const lines = names.map((name) => `  --${name.padEnd(24)} ${Flags.shape[name].description ?? ''}`);
  return [
    'Usage: mcp-fleet-operator [flags]',
    '',
    'Each flag is also read from MCP_FLEET_<NAME>; the flag wins.',
    '',
    ...lines,
    '  --help, --version',
    '',
  ].join('\n');
}
