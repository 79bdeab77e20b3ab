import { parseArgs } from 'node:util';

/** One flag of the guard. Every flag is also an environment variable: `--admin-port` is `MCP_FLEET_GUARD_ADMIN_PORT`. */
export interface Flag {
  readonly name: string;
  readonly default: string;
  /** What the flag does, in one sentence; printed by `--help` and listed in docs/guard-process.md. */
  readonly help: string;
}

export const FLAGS: readonly Flag[] = [
  { name: 'upstream', default: '', help: 'URL of the server: http(s)://host:port/path, or unix:<socket of the stdio shim>' },
  { name: 'transport', default: 'StreamableHTTP', help: 'How the server is spoken to: StreamableHTTP, SSE (2024-11-05) or Stdio' },
  {
    name: 'upstream-host',
    default: '',
    help: 'Host header that the server accepts; empty: localhost:<port>, for https the host of the URL',
  },
  { name: 'upstream-ca', default: '', help: 'PEM file of the authority that signed the certificate of an https server' },
  {
    name: 'upstream-headers',
    default: '',
    help: 'Directory of files, one per header that the server wants: name = header, content = value',
  },
  { name: 'verification-headers', default: '', help: 'Directory of files like upstream-headers, used by the inventory alone' },
  { name: 'processes', default: 'Shared', help: 'Stdio: Shared (one child for all callers) or PerSession (one child per session)' },
  { name: 'max-processes', default: '32', help: 'Stdio, PerSession: how many children may run at once' },
  { name: 'path', default: '/mcp', help: 'Path that callers use' },
  {
    name: 'bundle',
    default: '',
    help: 'Bundle file, with keys.json and replicas.json beside it; watched, and the last good one stays in force',
  },
  { name: 'sealing-keys', default: '', help: 'Directory with the files current and previous; empty: a key of this process alone' },
  { name: 'api-keys', default: '', help: 'Directory of API keys: file name = user, content = key' },
  { name: 'address', default: '0.0.0.0', help: 'Address that the three ports listen on' },
  { name: 'data-port', default: '15080', help: 'Port that callers use' },
  { name: 'admin-port', default: '15090', help: 'Port of probes and the operator, read-only' },
  { name: 'metrics-port', default: '15091', help: 'Port of the metrics' },
  { name: 'pod-address', default: '', help: 'Address under which sibling guards reach this one; empty: sessions are not handed over' },
  {
    name: 'siblings',
    default: '',
    help: 'URL of the Service in front of all guards of this server, which gets new sessions once this pod leaves; empty: they are refused',
  },
  { name: 'control', default: '/run/mcp-fleet/guard.sock', help: 'Unix socket over which `drain` begins draining; empty: none' },
  { name: 'drain-seconds', default: '30', help: 'How long running calls may take once draining has begun' },
  { name: 'farewell-seconds', default: '4', help: 'How long the ports stay open once drained: longer than peers keep idle connections' },
  { name: 'verification-interval', default: '300', help: 'Seconds between two listings of the inventory' },
  { name: 'verification-timeout', default: '5', help: 'Seconds that one request of the inventory may take' },
  {
    name: 'readiness',
    default: 'Server',
    help: 'What readiness waits for: Server (bundle and server) or Bundle (the server runs elsewhere)',
  },
  {
    name: 'otlp-endpoint',
    default: '',
    help: 'Base URL of a receiver of traces over OTLP/HTTP, such as http://collector:4318; empty: no traces',
  },
  { name: 'log-level', default: 'info', help: 'debug, info, warn or error' },
];

export interface Settings {
  readonly upstream: UpstreamSettings;
  readonly path: string;
  readonly bundle: string;
  readonly sealingKeys: string | undefined;
  readonly apiKeys: string | undefined;
  readonly address: string;
  readonly dataPort: number;
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly podAddress: string | undefined;
  readonly siblings: URL | undefined;
  readonly control: string | undefined;
  /** Milliseconds. */
  readonly drain: number;
  /** Milliseconds. */
  readonly farewell: number;
  /** Milliseconds between two listings, and that one request may take. */
  readonly verification: { readonly interval: number; readonly timeout: number; readonly headers: string | undefined };
  /** Whether readiness waits for the server. */
  readonly awaitServer: boolean;
  readonly otlpEndpoint: URL | undefined;
  readonly logLevel: string;
}

export type UpstreamSettings =
  | {
      readonly transport: 'StreamableHTTP' | 'SSE';
      readonly url: URL;
      readonly host: string;
      readonly ca: string | undefined;
      readonly headers: string | undefined;
    }
  | { readonly transport: 'Stdio'; readonly socket: string; readonly processes: 'Shared' | 'PerSession'; readonly maxProcesses: number };

/** The command line or the environment makes no sense. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Reads the settings from arguments, then the environment, then defaults. Throws `SettingsError` with a sentence for the user. */
export function settings(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): Settings {
  const values = flagValues(args, environment);
  const value = (name: string): string => values.get(name) ?? '';
  const optional = (name: string): string | undefined => (value(name) === '' ? undefined : value(name));
  const number = (name: string, minimum: number): number => {
    const parsed = Number(value(name));
    if (!Number.isFinite(parsed) || parsed < minimum) throw new SettingsError(`--${name} must be a number of at least ${minimum}`);
    return parsed;
  };
  if (!value('path').startsWith('/')) throw new SettingsError('--path must begin with a slash');
  if (value('bundle') === '') throw new SettingsError('--bundle is required');
  return {
    upstream: upstream(value, optional, number),
    path: value('path'),
    bundle: value('bundle'),
    sealingKeys: optional('sealing-keys'),
    apiKeys: optional('api-keys'),
    address: value('address'),
    dataPort: number('data-port', 0),
    adminPort: number('admin-port', 0),
    metricsPort: number('metrics-port', 0),
    podAddress: optional('pod-address'),
    siblings: siblings(optional('siblings')),
    control: optional('control'),
    drain: number('drain-seconds', 0) * 1000,
    farewell: number('farewell-seconds', 0) * 1000,
    verification: {
      interval: number('verification-interval', 1) * 1000,
      timeout: number('verification-timeout', 0.1) * 1000,
      headers: optional('verification-headers'),
    },
    awaitServer: value('readiness') !== 'Bundle',
    otlpEndpoint: otlpEndpoint(optional('otlp-endpoint')),
    logLevel: value('log-level'),
  };
}

function siblings(address: string | undefined): URL | undefined {
  if (address === undefined) return undefined;
  const url = URL.parse(address);
  if (url?.protocol !== 'http:') throw new SettingsError('--siblings must be a URL that begins with http://');
  return url;
}

function otlpEndpoint(value: string | undefined): URL | undefined {
  if (value === undefined) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new SettingsError('--otlp-endpoint must be an http or https URL');
  // It would be seen in the process list.
  if (url.username !== '' || url.password !== '') throw new SettingsError('--otlp-endpoint must hold no credential');
  return url;
}

function upstream(
  value: (name: string) => string,
  optional: (name: string) => string | undefined,
  number: (name: string, minimum: number) => number,
): UpstreamSettings {
  const address = value('upstream');
  if (address === '') throw new SettingsError('--upstream is required');
  const transport = value('transport');
  if (transport === 'Stdio') {
    if (!address.startsWith('unix:')) throw new SettingsError('--upstream must be unix:<socket> with --transport Stdio');
    const processes = value('processes');
    if (processes !== 'Shared' && processes !== 'PerSession') throw new SettingsError('--processes must be Shared or PerSession');
    return { transport, socket: address.slice('unix:'.length), processes, maxProcesses: number('max-processes', 1) };
  }
  if (transport !== 'StreamableHTTP' && transport !== 'SSE') {
    throw new SettingsError('--transport must be StreamableHTTP, SSE or Stdio');
  }
  if (!URL.canParse(address)) throw new SettingsError('--upstream is not a URL');
  const url = new URL(address);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new SettingsError('--upstream must begin with http:// or https://');
  // Servers with protection against DNS rebinding know themselves as localhost, whatever name they are called by.
  const local = url.port === '' ? 'localhost' : `localhost:${url.port}`;
  const host = optional('upstream-host') ?? (url.protocol === 'https:' ? url.host : local);
  return { transport, url, host, ca: optional('upstream-ca'), headers: optional('upstream-headers') };
}

function flagValues(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): ReadonlyMap<string, string> {
  let given: Readonly<Record<string, unknown>>;
  try {
    given = parseArgs({
      args: [...args],
      options: Object.fromEntries(FLAGS.map(({ name }) => [name, { type: 'string' as const }])),
    }).values;
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
  return new Map(
    FLAGS.map((flag) => {
      const variable = `MCP_FLEET_GUARD_${flag.name.toUpperCase().replaceAll('-', '_')}`;
      const value = given[flag.name] ?? environment[variable];
      return [flag.name, typeof value === 'string' ? value : flag.default];
    }),
  );
}
