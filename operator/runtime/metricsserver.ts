import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Client } from '../kube/client.ts';
import { type SubjectAccessReview, SubjectAccessReviews, type TokenReview, TokenReviews } from '../kube/resources.ts';
import { readCertificate, selfSigned, watchCertificate } from './certificate.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsServerOptions {
  readonly client: Client;
  readonly metrics: Pick<Metrics, 'text' | 'registry'>;
  readonly log: Logger;
  readonly port: number;
  readonly host?: string;
  /** Directory with `tls.crt` and `tls.key`, reloaded when they change. Default: a certificate made at start. */
  readonly certificates?: string | undefined;
  /** Names in the certificate made at start. */
  readonly names?: readonly string[];
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** What the API server said about a token, a minute long. */
const ANSWER_TTL = 60_000;
const MAX_ANSWERS = 1_000;

type Answer = 200 | 401 | 403;

/**
 * `/metrics` over TLS for those whom RBAC allows `get` on the non-resource URL `/metrics` (controller-runtime's
 * `WithAuthenticationAndAuthorization`). An API server that cannot be asked counts as no.
 */
export class MetricsServer {
  readonly #options: MetricsServerOptions;
  readonly #answers = new Map<string, { readonly answer: Promise<Answer>; readonly until: number }>();
  readonly #now: () => number;
  #server: Server | undefined;
  #stopWatching: () => void = () => {};

  constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Resolves with the port. */
  async start(): Promise<number> {
    const { certificates, names = ['localhost', '127.0.0.1'], port, host, log } = this.#options;
    const certificate = certificates === undefined ? selfSigned(names) : await readCertificate(certificates);
    const server = createServer({ ...certificate, minVersion: 'TLSv1.2' }, (request, response) => {
      this.#serve(request, response).catch((err: unknown) => {
        log.error({ err }, 'metrics request failed');
        response.writeHead(500).end();
      });
    });
    this.#server = server;
    if (certificates !== undefined) {
      this.#stopWatching = watchCertificate(
        certificates,
        (renewed) => {
          server.setSecureContext(renewed);
          log.info({ directory: certificates }, 'serving certificate reloaded');
        },
        (err) => log.warn({ err, directory: certificates }, 'serving certificate could not be reloaded'),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(port, host, resolve);
    await promise;
    return (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#stopWatching();
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#server === undefined) return;
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.split('?', 1)[0] !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404).end('not found\n');
      return;
    }
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const answer = token === undefined ? 401 : await this.#ask(token);
    if (answer !== 200) {
      response.writeHead(answer, { 'content-type': 'text/plain' }).end(answer === 401 ? 'Unauthorized\n' : 'Forbidden\n');
      return;
    }
    const { metrics } = this.#options;
    response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(await metrics.text());
  }

  #ask(token: string): Promise<Answer> {
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#answers.get(key);
    if (known !== undefined && known.until > this.#now()) return known.answer;
    const answer = this.#review(token);
    if (this.#answers.size >= MAX_ANSWERS) this.#answers.clear();
    this.#answers.set(key, { answer, until: this.#now() + ANSWER_TTL });
    // A question that failed is no answer.
    answer.catch(() => this.#answers.delete(key));
    return answer;
  }

  async #review(token: string): Promise<Answer> {
    const { client } = this.#options;
    const signal = AbortSignal.timeout(10_000);
    const review: TokenReview = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {} as TokenReview['metadata'],
      spec: { token },
    };
    const { status } = await client.create(TokenReviews, review, { signal });
    if (status?.authenticated !== true || status.user?.username === undefined) return 401;
    const { username, uid, groups } = status.user;
    const access: SubjectAccessReview = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {} as SubjectAccessReview['metadata'],
      spec: {
        user: username,
        ...(uid !== undefined && { uid }),
        ...(groups !== undefined && { groups }),
        nonResourceAttributes: { path: '/metrics', verb: 'get' },
      },
    };
    const verdict = await client.create(SubjectAccessReviews, access, { signal });
    return verdict.status?.allowed === true ? 200 : 403;
  }
}
