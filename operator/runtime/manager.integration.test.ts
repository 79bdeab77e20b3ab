import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { request as httpsRequest } from 'node:https';
import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../e2e/cluster/cluster.ts';
import { Client } from '../kube/client.ts';
import type { Credentials } from '../kube/credentials.ts';
import { kubeconfig } from '../kube/kubeconfig.ts';
import { ClusterRoleBindings, ClusterRoles, Events, Namespaces, ServiceAccounts } from '../kube/resources.ts';
import { Transport } from '../kube/transport.ts';
import { Metrics } from './metrics.ts';
import { MetricsServer } from './metricsserver.ts';
import { Echoes, echo, echoOperator, install } from './testing/echo-operator.ts';

const silent = pino({ level: 'silent' });
let cluster: Cluster;
let credentials: Credentials;
let transport: Transport;
let user: Client;

beforeAll(async () => {
  cluster = await startCluster({ controlPlaneOnly: true, audit: true });
  credentials = await kubeconfig({ path: cluster.kubeconfigPath });
  transport = new Transport({ credentials, userAgent: 'test' });
  user = new Client(transport);
  await install(user, 'Echo', 'echoes', AbortSignal.timeout(30_000));
});
afterAll(async () => {
  await transport?.close();
  await cluster?.stop();
});

interface AuditEvent {
  readonly verb: string;
  readonly userAgent?: string;
  readonly user?: { readonly username?: string };
  readonly stage: string;
  readonly requestReceivedTimestamp: string;
  readonly objectRef?: { readonly resource?: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
}

async function audit(): Promise<AuditEvent[]> {
  const text = await readFile(cluster.auditLogPath ?? '', 'utf8');
  const lines = text.split('\n').filter((line) => line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ stage }) => stage === 'ResponseComplete');
}

const WRITES = ['create', 'update', 'patch', 'delete'];

/** A replica in a process of its own, and what it logs. */
class Replica {
  readonly identity: string;
  readonly process: ChildProcess;
  readonly lines: { msg: string; at: number; [key: string]: unknown }[] = [];
  readonly exited: Promise<number | null>;

  constructor(identity: string) {
    this.identity = identity;
    this.process = spawn(process.execPath, ['operator/runtime/testing/echo-process.ts', cluster.kubeconfigPath, identity], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.process;
    if (stdout === null) throw new Error('no output');
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push({ ...(JSON.parse(line) as { msg: string }), at: performance.now() });
    });
    this.exited = new Promise((resolve) => {
      this.process.on('exit', resolve);
    });
  }

  async said(msg: string, timeout = 30_000): Promise<{ at: number; [key: string]: unknown }> {
    await expect.poll(() => this.lines.some((line) => line.msg === msg), { timeout, interval: 5 }).toBe(true);
    return this.lines.find((line) => line.msg === msg) ?? { at: 0 };
  }

  get leads(): boolean {
    return this.lines.some(({ msg }) => msg === 'leadership acquired');
  }
}

/** Writes other than of leases, in the order in which the API server received them. */
async function writers(since: number, identities: readonly string[]): Promise<string[]> {
  const events = (await audit()).slice(since);
  return events
    .filter(
      ({ verb, objectRef, responseStatus }) =>
        WRITES.includes(verb) && objectRef?.resource !== 'leases' && (responseStatus?.code ?? 0) < 300,
    )
    .toSorted((a, b) => (a.requestReceivedTimestamp < b.requestReceivedTimestamp ? -1 : 1))
    .flatMap(({ userAgent }) => identities.filter((identity) => userAgent?.endsWith(` ${identity}`)));
}

/** `aaaabbb` → `ab`: who wrote after whom. */
const turns = (list: readonly string[]): string[] => list.filter((item, index) => item !== list[index - 1]);

describe('two replicas', () => {
  async function pair(prefix: string): Promise<{ leader: Replica; standby: Replica; since: number }> {
    const since = (await audit()).length;
    const replicas = [new Replica(`${prefix}-a`), new Replica(`${prefix}-b`)];
    await expect.poll(() => replicas.some(({ leads }) => leads), { timeout: 40_000 }).toBe(true);
    await Promise.all(replicas.map((replica) => replica.said('caches filled')));
    const [leader, standby] = replicas.toSorted((a, b) => Number(b.leads) - Number(a.leads));
    if (leader === undefined || standby === undefined) throw new Error('no replicas');
    // Long enough for some writes.
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
    });
    expect(standby.leads).toBe(false);
    return { leader, standby, since };
  }
  const end = async (replica: Replica): Promise<number | null> => {
    replica.process.kill('SIGTERM');
    return replica.exited;
  };

  it('hand over within three seconds when the leader is asked to stop, without a list', async () => {
    const { leader, standby, since } = await pair('term');
    const asked = performance.now();
    const listed = (await audit()).filter(({ verb, userAgent }) => verb === 'list' && userAgent?.endsWith(standby.identity)).length;
    expect(await end(leader)).toBe(0);
    const took = (await standby.said('leadership acquired')).at - asked;
    console.info(`fail-over after SIGTERM: ${took.toFixed(0)} ms`);
    expect(took).toBeLessThan(3_000);
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    expect((await audit()).filter(({ verb, userAgent }) => verb === 'list' && userAgent?.endsWith(standby.identity))).toHaveLength(listed);
    expect(await end(standby)).toBe(0);
    expect(turns(await writers(since, [leader.identity, standby.identity]))).toEqual([leader.identity, standby.identity]);
  }, 90_000);

  it('hand over within 17 seconds when the leader is killed', async () => {
    const { leader, standby, since } = await pair('kill');
    const asked = performance.now();
    leader.process.kill('SIGKILL');
    const took = (await standby.said('leadership acquired', 20_000)).at - asked;
    console.info(`fail-over after SIGKILL: ${took.toFixed(0)} ms`);
    expect(took).toBeLessThan(17_000);
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    expect(await end(standby)).toBe(0);
    expect(turns(await writers(since, [leader.identity, standby.identity]))).toEqual([leader.identity, standby.identity]);
  }, 90_000);

  it('never write both when the leader is paused and wakes up', async () => {
    const { leader, standby, since } = await pair('stop');
    leader.process.kill('SIGSTOP');
    await standby.said('leadership acquired', 20_000);
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
    leader.process.kill('SIGCONT');
    expect(await leader.exited).toBe(1);
    expect(leader.lines.map(({ msg }) => msg)).toContain('leadership lost');
    expect(await end(standby)).toBe(0);
    const wrote = await writers(since, [leader.identity, standby.identity]);
    expect(wrote.length).toBeGreaterThan(20);
    expect(turns(wrote)).toEqual([leader.identity, standby.identity]);
  }, 90_000);

  it('stop at once at the second signal', async () => {
    const { leader, standby } = await pair('twice');
    standby.process.kill('SIGTERM');
    expect(await standby.exited).toBe(0);
    leader.process.kill('SIGSTOP');
    leader.process.kill('SIGTERM');
    leader.process.kill('SIGINT');
    leader.process.kill('SIGCONT');
    expect(await leader.exited).toBe(1);
  }, 90_000);
});

describe('a manager', () => {
  it('answers probes by its state', async () => {
    const lines: { msg: string; port?: number }[] = [];
    const log = pino({}, { write: (line) => void lines.push(JSON.parse(line)) });
    const operator = echoOperator(credentials, log, {
      identity: 'probes',
      health: { port: 0, host: '127.0.0.1' },
      leaderElection: { name: 'probes', namespace: 'default' },
    });
    const starting = operator.manager.start();
    await expect.poll(() => lines.some(({ msg }) => msg === 'probes answered')).toBe(true);
    const port = lines.find(({ msg }) => msg === 'probes answered')?.port;
    const probe = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect(await probe('/healthz')).toBe(200);
    await starting;
    expect(await probe('/readyz')).toBe(200);
    // One watch per kind, however many read it.
    const kinds = ['echoes', 'configmaps', 'deployments', 'roles', 'rolebindings', 'networkpolicies'];
    const watched = operator.requests.filter(({ watch, code, path }) => watch && code === '200' && !path.includes('/leases'));
    expect(watched.map(({ path }) => path.split('?', 1)[0]?.split('/').at(-1) ?? '').toSorted()).toEqual(kinds.toSorted());
    await operator.stop();
    expect(await operator.manager.ended).toBe(0);
  });

  it('is not ready and says why while rights are missing, and goes on when it gets them', async () => {
    const token = await serviceAccountToken('poor');
    const lines: { msg: string; port?: number; store?: string }[] = [];
    const log = pino({}, { write: (line) => void lines.push(JSON.parse(line)) });
    const poor: Credentials = {
      ...credentials,
      tls: { ...(credentials.tls.ca !== undefined && { ca: credentials.tls.ca }) },
      authorization: () => Promise.resolve(`Bearer ${token}`),
    };
    const operator = echoOperator(poor, log, { health: { port: 0, host: '127.0.0.1' } });
    const starting = operator.manager.start();
    await expect.poll(() => lines.filter(({ msg }) => msg === 'watch failed').length).toBeGreaterThan(0);
    const port = lines.find(({ msg }) => msg === 'probes answered')?.port;
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining('waiting for echoes.example.dev/v1')]);
    await grant('poor', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]);
    await starting;
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
    await operator.stop();
  }, 60_000);

  it('gives up with a clear message when its caches are not complete in time', async () => {
    const token = await serviceAccountToken('poorer');
    const { ca } = credentials.tls;
    const poor: Credentials = {
      ...credentials,
      tls: { ...(ca !== undefined && { ca }) },
      authorization: () => Promise.resolve(`Bearer ${token}`),
    };
    const operator = echoOperator(poor, silent, { syncTimeout: 300 });
    await expect(operator.manager.start()).rejects.toThrow(/caches not complete after 0.3 s: echoes.example.dev\/v1/);
    expect(await operator.manager.ended).toBe(1);
    await operator.stop();
  });

  it('asks for nothing outside its namespaces', async () => {
    for (const name of ['team-a', 'team-b', 'team-c']) {
      await user.apply(Namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { fieldManager: 'test' });
      await user.apply(Echoes, echo('one', { replicas: 1 }, name), { fieldManager: 'test' });
    }
    const operator = echoOperator(credentials, silent, { namespaces: ['team-a', 'team-b'] });
    await operator.manager.start();
    await expect.poll(() => [...operator.deployments.keys()].toSorted()).toEqual(['team-a/one', 'team-b/one']);
    await operator.stop();
    const outside = operator.requests.filter(({ path }) => !/\/namespaces\/team-[ab]\//.test(path));
    expect(outside).toEqual([]);
    expect([...operator.echoes.keys()].toSorted()).toEqual(['team-a/one', 'team-b/one']);
  });

  it('has its events accepted, a hundred equal ones as one', async () => {
    const operator = echoOperator(credentials, silent, { identity: 'recorder' });
    await operator.manager.start();
    const object = await user.apply(Echoes, echo('noisy'), { fieldManager: 'test' });
    for (let i = 0; i < 100; i++) {
      operator.manager.events.event(object, { type: 'Warning', reason: 'Broken', action: 'Verify', note: 'it is broken' });
    }
    operator.manager.events.event(object, { type: 'Normal', reason: 'Mended', action: 'Verify', note: 'ü'.repeat(1000) });
    await operator.stop();
    const { items } = await user.list(Events, { namespace: 'default', fieldSelector: 'regarding.name=noisy' });
    const found = items.map(({ type, reason, series, reportingController, reportingInstance }) => ({
      type,
      reason,
      count: series?.count,
      reportingController,
      reportingInstance,
    }));
    const by = { reportingController: 'example.dev/echo-operator', reportingInstance: 'recorder' };
    expect(found.toSorted((a, b) => String(a.reason).localeCompare(String(b.reason)))).toEqual([
      { type: 'Warning', reason: 'Broken', count: 100, ...by },
      { type: 'Normal', reason: 'Mended', count: undefined, ...by },
    ]);
  });
});

describe('the metrics endpoint', () => {
  it('is for those alone whom the API server knows and allows', async () => {
    await grant('scraper', [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]);
    const [scraper, stranger] = await Promise.all([serviceAccountToken('scraper'), serviceAccountToken('stranger')]);
    const reviews: string[] = [];
    const counted = new Transport({ credentials, userAgent: 'test', observer: { finished: ({ path }) => reviews.push(path) } });
    const server = new MetricsServer({ client: new Client(counted), metrics: new Metrics(), log: silent, port: 0, host: '127.0.0.1' });
    const port = await server.start();
    const get = (token: string | undefined, path = '/metrics') =>
      new Promise<string>((resolve, reject) => {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        httpsRequest({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false }, (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () => resolve(`${response.statusCode} ${body}`));
        })
          .on('error', reject)
          .end();
      });
    expect(await get(undefined)).toBe('401 Unauthorized\n');
    expect(await get('made-up')).toBe('401 Unauthorized\n');
    expect(await get(stranger)).toBe('403 Forbidden\n');
    expect(await get(scraper)).toMatch(/^200 .*nodejs_eventloop_lag/s);
    expect(await get(scraper, '/else')).toMatch(/^404/);
    const asked = reviews.length;
    await get(scraper);
    expect(reviews).toHaveLength(asked);
    await server.stop();
    await counted.close();
  });
});

async function serviceAccountToken(name: string): Promise<string> {
  const metadata = { name, namespace: 'default' };
  await user.apply(ServiceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, { fieldManager: 'test' });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata, spec: {} };
  const answer: unknown = await user.create(ServiceAccounts, request as never, { subresource: 'token' });
  return (answer as { status: { token: string } }).status.token;
}

async function grant(account: string, rules: object[]): Promise<void> {
  const metadata = { name: `test-${account}` };
  await user.apply(
    ClusterRoles,
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules },
    { fieldManager: 'test' },
  );
  await user.apply(
    ClusterRoleBindings,
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
    },
    { fieldManager: 'test' },
  );
}
