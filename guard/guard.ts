import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Server as SocketServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { excerpt } from '../mcp/excerpt.ts';
import { clientMethod } from '../mcp/policy/method.ts';
import { Limiter } from '../mcp/policy/limiter.ts';
import { adminPort } from './admin.ts';
import { AuditLog } from './audit/log.ts';
import type { LineWriter } from './audit/sink.ts';
import { LineSink } from './audit/sink.ts';
import { issuerOf, withdrawnKeys } from './authentication/tokens.ts';
import { BodyMemory } from './body.ts';
import type { GuardContext } from './context.ts';
import { Draining, listenForDrain } from './draining.ts';
import type { Enforcement } from './enforcement.ts';
import { Enforcements } from './enforcement.ts';
import { headersFrom } from './headerfiles.ts';
import { Inventory } from './inventory.ts';
import type { Log } from './log.ts';
import { Metrics, OTHER } from './metrics.ts';
import { KnownObjects } from './objects.ts';
import { dataPort } from './port.ts';
import { ListCache } from './relay/listcache.ts';
import { Rounds } from './rounds.ts';
import { Tasks } from './seals.ts';
import { Conversations } from './session/conversations.ts';
import { Peers } from './session/peers.ts';
import { randomSealingKey, readSealingKeys, Sealer } from './session/seal.ts';
import { Sessions } from './session/sessions.ts';
import type { Settings } from './settings.ts';
import { Streams } from './streams.ts';
import { SpanExporter } from './traces/exporter.ts';
import { Tracer } from './traces/tracer.ts';
import { HttpUpstream } from './upstream/http.ts';
import { sendThroughUpstream } from './upstream/send.ts';
import type { Upstream } from './upstream/upstream.ts';
import { upstreamFor } from './upstream/kinds.ts';
import type { Watching } from './watch.ts';
import { watchDirectory } from './watch.ts';

export const VERSION = '0.1.0';

/** The world outside of the guard; tests put their own in. */
export interface Surroundings {
  readonly log: Log;
  readonly audit: LineWriter;
  readonly now: () => number;
  readonly random: () => number;
}

/** Where a started guard listens. */
export interface Ports {
  readonly data: number;
  readonly admin: number;
  readonly metrics: number;
}

/**
 * One guard in front of one server.
 *
 * Guarantees: it starts without a valid bundle and refuses everybody until there is one; `stop` lets running calls finish for the time
 * that is left of draining.
 */
export class Guard {
  readonly #settings: Settings;
  readonly #surroundings: Surroundings;
  readonly #enforcements: Enforcements;
  readonly #context: GuardContext;
  readonly #limiter: { current: Limiter | undefined } = { current: undefined };
  readonly #servers: Server[] = [];
  readonly #watching: Watching[] = [];
  readonly #sink: LineSink;
  readonly #exporter: SpanExporter | undefined;
  readonly #boot = randomUUID();
  #control: SocketServer | undefined;
  #expiry: NodeJS.Timeout | undefined;

  constructor(settings: Settings, surroundings: Surroundings) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    const { now, log } = surroundings;
    this.#sink = new LineSink(surroundings.audit);
    this.#enforcements = new Enforcements({
      bundle: settings.bundle,
      apiKeys: settings.apiKeys,
      now,
      changed: (current, before) => this.#enforce(current, before),
      rejected: (rejection) => {
        this.#context.metrics.bundleRefused(rejection.file);
        log.error('refused a file and kept what was in force', { ...rejection });
      },
    });
    const upstream = upstreamFor(settings.upstream, {
      now,
      stray: (line) => log.warn('the server wrote a line that is no message', { line: excerpt(line) }),
      listChanged: () => this.#context.inventory.refresh(),
    });
    this.#exporter = this.#spanExporter();
    this.#context = this.#build(upstream);
  }

  /** Listens on all ports and begins to list the server. */
  async start(): Promise<Ports> {
    const { address, dataPort: data, adminPort: admin, metricsPort: metrics, control } = this.#settings;
    const context = this.#context;
    this.#enforcements.start();
    const ports = [
      await this.#listen(dataPort({ context, unexpected: (error) => this.#surroundings.log.error('a request failed', { error }) }), data),
      await this.#listen(
        adminPort({
          context,
          enforcements: this.#enforcements,
          awaitServer: this.#settings.awaitServer,
          version: VERSION,
        }),
        admin,
      ),
      await this.#listen(metricsServer(context.metrics), metrics),
    ] as const;
    if (control !== undefined) this.#control = await listenForDrain(control, { leave: () => this.leave(), begin: () => this.drain() });
    context.inventory.start();
    this.#surroundings.log.info('started', { address, data: ports[0], admin: ports[1], metrics: ports[2] });
    return { data: ports[0], admin: ports[1], metrics: ports[2] };
  }

  /** The pod is going: everything is still served, but new sessions by siblings, and nothing twice on one connection. Idempotent. */
  leave(): void {
    this.#context.draining.leave();
  }

  /** Begins to drain. Idempotent. */
  drain(): void {
    if (this.#context.draining.active) return;
    this.#surroundings.log.info('began draining', { calls: this.#context.draining.calls, streams: this.#context.streams.size });
    this.#context.draining.begin();
  }

  /** Drains, and then ends everything. */
  async stop(): Promise<void> {
    this.drain();
    await this.#context.draining.drained();
    // Siblings and load balancers hold idle connections: one that is closed while a request is on its way to it loses that request. Until
    // they have let go of them, whatever comes is handed over or refused in words, each time with `Connection: close`.
    // A server that ignores its signal takes the grace period with it: then most of that time is over, and the guard has two seconds.
    await delay(this.#context.draining.left(this.#settings.farewell));
    // Sessions of living pods may have begun streams through this guard in the meantime: they end as streams do, not with their connections.
    this.#context.streams.closeAllAndHandedOver();
    this.#context.inventory.stop();
    this.#enforcements.stop();
    clearTimeout(this.#expiry);
    for (const watching of this.#watching) watching.close();
    const closing = this.#servers.map(async (server) => {
      const closed = once(server, 'close');
      server.close();
      // Requests that are on their way still get their answer.
      const patience = setTimeout(() => server.closeAllConnections(), PATIENCE);
      await closed;
      clearTimeout(patience);
    });
    this.#control?.close();
    await Promise.all(closing);
    await this.#context.peers?.close();
    await this.#context.siblings?.close();
    await this.#context.upstream.close();
    await this.#sink.flushed();
    await this.#exporter?.close();
  }

  async #listen(server: Server, port: number): Promise<number> {
    this.#servers.push(server);
    server.listen(port, this.#settings.address);
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  #enforce(current: Enforcement, before: Enforcement | undefined): void {
    const { limits } = current.engine;
    const limiter = this.#limiter.current;
    if (limiter === undefined) {
      this.#limiter.current = new Limiter(limits, { now: () => performance.now(), replicas: current.replicas });
    } else {
      limiter.reconfigure(limits, current.replicas);
    }
    this.#announce(current, before);
    if (before?.digest !== current.digest) this.#surroundings.log.info('put a bundle in force', { digest: current.digest });
    this.#watchExpiry(current);
  }

  /** Tells open streams what has changed for them. */
  #announce(current: Enforcement, before: Enforcement | undefined): void {
    const { streams, objects } = this.#context;
    // Streams are as old as their first request: whose credential was taken back must not go on listening.
    if (before !== undefined && before.admission !== current.admission) streams.closeAll();
    const withdrawn: readonly (string | undefined)[] = before === undefined ? [] : withdrawnKeys(before.keys, current.keys);
    if (withdrawn.length > 0) streams.closeAll((caller) => withdrawn.includes(issuerOf(caller, current.bundle.authentication)));
    streams.enforce(current, (caller, enforcement) => objects.sight(caller, enforcement), before);
  }

  /** A rule that ends changes lists without a change of the bundle. */
  #watchExpiry(current: Enforcement): void {
    clearTimeout(this.#expiry);
    const instant = current.engine.nextExpiry();
    if (instant === undefined) return;
    const wait = Math.min(instant + 1 - this.#surroundings.now(), MAXIMUM_TIMER);
    this.#expiry = setTimeout(() => {
      this.#context.streams.announce();
      this.#watchExpiry(current);
    }, wait);
    this.#expiry.unref();
  }

  #build(upstream: Upstream): GuardContext {
    const settings = this.#settings;
    const { now, random, log } = this.#surroundings;
    const enforcement = (): Enforcement | undefined => this.#enforcements.current;
    const boot = this.#boot;
    const sealer = this.#sealer();
    const streams = new Streams();
    const draining = new Draining(settings.drain, () => streams.closeAllAndHandedOver());
    const audit = new AuditLog(this.#sink, now);
    const inventory = new Inventory({
      target: { url: place(settings.upstream), send: sendThroughUpstream(upstream), headers: this.#verificationHeaders() },
      interval: settings.verification.interval,
      timeout: settings.verification.timeout,
      now,
      random,
      listed: (result, changed) => {
        const level = result.outcome === 'Verified' || result.outcome === 'AuthenticationRequired' ? 'debug' : 'warn';
        log[level]('listed the server', { outcome: result.outcome, message: result.message, changed });
      },
    });
    return {
      path: settings.path,
      boot,
      upstream,
      enforcement,
      limiter: () => (this.#limiter.current ??= new Limiter(NO_LIMITS, { now: () => performance.now(), replicas: 1 })),
      inventory,
      objects: new KnownObjects(() => inventory.listing),
      lists: new ListCache(now),
      bodies: new BodyMemory(BODY_MEMORY),
      sealer,
      sessions: new Sessions({
        sealer,
        boot,
        address: settings.podAddress,
        serverUid: () => enforcement()?.bundle.server.uid ?? '',
      }),
      conversations: new Conversations(),
      tasks: new Tasks(),
      rounds: new Rounds(now),
      peers: settings.podAddress === undefined ? undefined : new Peers({ sealer, port: settings.dataPort, path: settings.path, now }),
      siblings: settings.siblings === undefined ? undefined : new HttpUpstream({ url: settings.siblings, connectTimeout: SIBLING_TIMEOUT }),
      streams,
      draining,
      audit,
      metrics: new Metrics({
        calls: () => draining.calls,
        streams: () => streams.size,
        auditMissing: () => audit.missing,
        knownTools: () => inventory.listing.tools.size,
      }),
      tracer:
        this.#exporter === undefined ? undefined : new Tracer(this.#exporter, settings.upstream.transport === 'Stdio' ? 'pipe' : 'tcp'),
      now,
      newId: randomUUID,
      methodLabel: (method) => (clientMethod(method) === undefined && !HTTP_METHODS.has(method) ? OTHER : method),
      versionLabel: (version) => (version === undefined ? '' : /^20\d\d-[01]\d-[0-3]\d$/.test(version) ? version : OTHER),
    };
  }

  #spanExporter(): SpanExporter | undefined {
    const { otlpEndpoint } = this.#settings;
    const { log } = this.#surroundings;
    if (otlpEndpoint === undefined) return undefined;
    return new SpanExporter({
      endpoint: otlpEndpoint,
      version: VERSION,
      // The service that callers mean is the server, whatever answers for it.
      resource: () => {
        const { namespace, name } = this.#enforcements.current?.bundle.server ?? {};
        return { 'service.name': name, 'service.namespace': namespace, 'service.instance.id': this.#boot, 'k8s.namespace.name': namespace };
      },
      failing: (cause) => {
        if (cause === undefined) log.info('sent traces again');
        else log.warn('failed to send traces, and goes on trying', { cause });
      },
      dropped: (spans) => this.#context.metrics.spansDropped(spans),
    });
  }

  #verificationHeaders(): Readonly<Record<string, string>> {
    const { headers } = this.#settings.verification;
    return headers === undefined ? {} : Object.fromEntries(headersFrom(headers));
  }

  #sealer(): Sealer {
    const directory = this.#settings.sealingKeys;
    if (directory === undefined) {
      const key = randomSealingKey();
      return new Sealer(() => [key]);
    }
    let keys = readSealingKeys(directory);
    this.#watching.push(
      watchDirectory(directory, () => {
        try {
          keys = readSealingKeys(directory);
        } catch (error) {
          this.#surroundings.log.error('kept the sealing keys, as the new ones cannot be read', { error });
        }
      }),
    );
    return new Sealer(() => keys);
  }
}

/** Where the server is, for the words of what fails. Nothing of a query, which may hold a credential. */
function place(upstream: Settings['upstream']): URL {
  return upstream.transport === 'Stdio' ? new URL('http://localhost/mcp') : new URL(upstream.url.pathname, upstream.url.origin);
}

const HTTP_METHODS = new Set(['GET', 'POST', 'DELETE', 'response']);
const NO_LIMITS = { rates: [], concurrency: {}, shadow: { rates: [], concurrency: {} } };
/** Bytes of requests' bodies that are held at once. */
const BODY_MEMORY = 64 * 1024 * 1024;
/** How long a sibling may take to accept a connection, milliseconds: where there is none left, this guard answers itself. */
const SIBLING_TIMEOUT = 1_000;
/** How long answers that are on their way at the very end may take, milliseconds. */
const PATIENCE = 500;
/** What a timer of Node can wait, milliseconds. */
const MAXIMUM_TIMER = 2 ** 31 - 1;

function metricsServer(metrics: Metrics): Server {
  return createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    void metrics.text().then((text) => {
      response.writeHead(200, { 'content-type': metrics.contentType });
      response.end(text);
    });
  });
}
