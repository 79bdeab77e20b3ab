import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { Counter, Gauge, Histogram } from 'prom-client';
import { probeOutcomes, type ProbeResult } from '../mcp/probe.ts';
import pkg from '../package.json' with { type: 'json' };
import type { Issuers } from './controllers/issuer/issuers.ts';
import { tcpReach } from './controllers/mcpserver/bypass.ts';
import { addMCPServerController } from './controllers/mcpserver/controller.ts';
import { directReader, readerThroughAPIServer } from './controllers/mcpserver/guardreports.ts';
import { serverProber, throughAPIServer } from './controllers/mcpserver/prober.ts';
import { Client } from './kube/client.ts';
import { type Credentials, isInCluster } from './kube/credentials.ts';
import { defaultCredentials } from './kube/kubeconfig.ts';
import { Transport } from './kube/transport.ts';
import { logger } from './runtime/log.ts';
import { Manager } from './runtime/manager.ts';
import { Metrics } from './runtime/metrics.ts';
import { MetricsServer } from './runtime/metricsserver.ts';
import { runProcess } from './runtime/process.ts';
import { help, type Settings, settings, SettingsError } from './settings.ts';

export const LEASE_NAME = 'mcp-fleet-operator';

export interface OperatorParts {
  readonly settings: Settings;
  readonly credentials: Credentials;
  readonly log: Logger;
  readonly inCluster: boolean;
}

export interface Operator {
  readonly manager: Manager;
  /** Ends connections; after the manager has stopped. */
  close(): Promise<void>;
}

/** The operator, put together but not started. */
export function operator({ settings: given, credentials, log, inCluster }: OperatorParts): Operator {
  const metrics = new Metrics();
  const userAgent = `mcp-fleet-operator/${pkg.version} (${process.platform}/${process.arch})`;
  const transport = new Transport({ credentials, userAgent, observer: metrics });
  const direct = given['verify-through'] === 'service' || (given['verify-through'] === 'auto' && inCluster);
  // Verifications have connections of their own: servers that never answer must not hold up those that reconciles need.
  const proxy = direct ? undefined : new Transport({ credentials, userAgent, observer: metrics, connections: given.verifications });
  const client = new Client(transport);
  const manager = new Manager({
    client,
    log,
    name: 'mcp-fleet.dev/operator',
    // As others write it: the Lease names the pod that leads, whose host name is its own name.
    identity: `${hostname()}_${randomUUID()}`,
    namespaces: given.namespaces,
    metrics,
    health: { port: given['health-port'] },
    grace: given['shutdown-grace'],
    ...(given['leader-elect'] && {
      leaderElection: { name: LEASE_NAME, namespace: given['lease-namespace'] === '' ? credentials.namespace : given['lease-namespace'] },
    }),
  });
  if (given['metrics-port'] !== 0) addMetricsServer(manager, client, metrics, given, log);
  const fetched = new Counter({
    name: 'mcp_fleet_issuer_fetches_total',
    help: 'Attempts to fetch the keys of token issuers, by outcome.',
    labelNames: ['outcome'],
    registers: [metrics.registry],
  });
  for (const outcome of ['success', 'failure']) fetched.inc({ outcome }, 0);
  const outside = proxy === undefined ? undefined : new Client(proxy);
  const readGuard = outside === undefined ? directReader : readerThroughAPIServer(outside);
  const { issuers } = addMCPServerController({
    manager,
    readGuard,
    ...(direct && inCluster && { reach: tcpReach }),
    prober: serverProber({
      clusterDomain: given['cluster-domain'],
      client: { name: 'mcp-fleet-operator', version: pkg.version },
      readGuard,
      ...(outside !== undefined && { sendTo: throughAPIServer(outside) }),
    }),
    settings: {
      clusterDomain: given['cluster-domain'],
      operatorNamespace: inCluster ? credentials.namespace : undefined,
      runnerImages: { npm: given['npm-image'], pypi: given['pypi-image'] },
      registries: { npm: given['npm-registry'], pypi: given['pypi-index'] },
      guardImage: { image: given['guard-image'] },
      ambient: given.ambient,
      assignIDs: given['assign-ids'],
      grantableClusterRoles: given['grantable-cluster-roles'],
      secretRotation: given['secret-rotation'],
      privateIssuers: given['private-issuers'],
      namespaces: given.namespaces,
      workers: given.workers,
      verifications: given.verifications,
    },
    onVerified: verificationMetrics(metrics),
    onVerifierError: (key, err) => log.error({ key, err }, 'verification failed by a bug'),
    onIssuerFetched: (outcome) => fetched.inc({ outcome }),
    onIssuerError: (err) => log.error({ err }, 'keys of an issuer were not fetched because of a bug'),
  });
  issuerGauge(metrics, issuers);
  return {
    manager,
    close: async () => {
      await Promise.all([transport.close(), proxy?.close()]);
    },
  };
}

function addMetricsServer(manager: Manager, client: Client, metrics: Metrics, given: Settings, log: Logger): void {
  const server = new MetricsServer({
    client,
    metrics,
    log,
    port: given['metrics-port'],
    ...(given['metrics-cert-dir'] !== '' && { certificates: given['metrics-cert-dir'] }),
  });
  manager.add({ name: 'metrics', when: 'always', start: () => server.start(), stop: () => server.stop() });
}

/** Issuers themselves are no labels: users name them. */
function issuerGauge({ registry }: Metrics, issuers: Issuers): void {
  const gauge: Gauge = new Gauge({
    name: 'mcp_fleet_issuers',
    help: 'Token issuers in use: current, stale (their keys cannot be fetched again) or missing (no keys yet).',
    labelNames: ['keys'],
    registers: [registry],
    collect: () => {
      for (const [keys, count] of Object.entries(issuers.counts())) gauge.set({ keys }, count);
    },
  });
}

function verificationMetrics({ registry }: Metrics): (outcome: ProbeResult['outcome'], seconds: number) => void {
  const total = new Counter({
    name: 'mcp_fleet_verifications_total',
    help: 'Verifications of MCP servers, by outcome.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'mcp_fleet_verification_seconds',
    help: 'How long verifications of MCP servers took.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  for (const outcome of probeOutcomes) total.inc({ outcome }, 0);
  return (outcome, seconds) => {
    total.inc({ outcome });
    duration.observe(seconds);
  };
}

/** Exit codes: 0 after a signal, 1 when leadership was lost or something failed, 2 for a command line that makes no sense. */
async function main(): Promise<void> {
  let given: Settings | 'help' | 'version';
  try {
    given = settings(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\nSee --help\n`);
    process.exitCode = 2;
    return;
  }
  if (given === 'help' || given === 'version') {
    process.stdout.write(given === 'help' ? help() : `${pkg.version}\n`);
    return;
  }
  const log = logger({ level: given['log-level'] });
  const path = given.kubeconfig === '' ? undefined : given.kubeconfig;
  const context = given.context === '' ? undefined : given.context;
  let credentials: Credentials;
  try {
    credentials = await defaultCredentials({ path, context });
  } catch (err) {
    log.fatal({ err }, 'no way to the API server');
    process.exitCode = 1;
    return;
  }
  const inCluster = path === undefined && (process.env['KUBECONFIG'] ?? '') === '' && isInCluster();
  const made = operator({ settings: given, credentials, log, inCluster });
  log.info({ version: pkg.version, server: credentials.server, namespaces: given.namespaces }, 'operator starts');
  await runProcess(made.manager, log, { close: () => made.close() });
}

if (import.meta.main) await main();
