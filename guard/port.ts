import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Answer } from './answers.ts';
import { empty, json } from './answers.ts';
import { metadata, METADATA_PATH, originOf } from './authentication/challenge.ts';
import { Call } from './call.ts';
import { CHAIN } from './chain.ts';
import { limitPerAddress } from './connections.ts';
import type { GuardContext } from './context.ts';
import { forward, handOver } from './forward.ts';
import { requestHeaders, responseHeaders } from './headers.ts';
import { originAllowed, preflightHeaders } from './origin.ts';
import { PASS, ResponseRelay } from './relay/response.ts';
import { PEER_PATH, proof } from './session/peers.ts';
import { nobody } from './upstream/upstream.ts';

/**
 * How long callers are told that an idle connection stays, as long as Node's servers keep theirs: callers who believe it have let go of every idle
 * connection before a pod that leaves closes them.
 */
const KEEP_ALIVE_TOLD = 5_000;
/** How long it really stays: longer than the idle time of the usual load balancers (60 s), which ask nobody, so that it is they who close it. */
const KEEP_ALIVE = 75_000;
/** How long the bytes of a request may take to arrive; says nothing of its answer. */
const REQUEST_TIMEOUT = 120_000;
/** Connections at once, each with a stream of its own at most; beyond, new ones are closed. A guard with so many open streams takes about 300 MiB. */
const MAXIMUM_CONNECTIONS = 10_000;
/** Those of one address: a gateway in front of all callers has enough, and whoever takes them all keeps nobody else out. */
const MAXIMUM_CONNECTIONS_OF_ADDRESS = MAXIMUM_CONNECTIONS / 2;

export interface PortOptions {
  readonly context: GuardContext;
  /** Told of what no request should be able to cause. */
  readonly unexpected: (error: unknown) => void;
}

/** The data port: the one that callers use. It answers on one path, and for what must lie beside it. */
export function dataPort(options: PortOptions): Server {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_TOLD,
      keepAliveTimeoutBuffer: KEEP_ALIVE - KEEP_ALIVE_TOLD,
      requestTimeout: REQUEST_TIMEOUT,
      noDelay: true,
      insecureHTTPParser: false,
    },
    (request, response) => {
      // Whoever connects anew reaches another pod.
      if (options.context.draining.leaving) response.shouldKeepAlive = false;
      response.on('error', () => response.destroy());
      route(options, request, response);
    },
  );
  server.maxConnections = MAXIMUM_CONNECTIONS;
  limitPerAddress(server, MAXIMUM_CONNECTIONS_OF_ADDRESS);
  // Whoever wants to be asked to continue is told to send at once instead.
  server.on('checkContinue', (_request: IncomingMessage, response: ServerResponse) => refuseExpectation(response));
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => refuseExpectation(response));
  return server;
}

function refuseExpectation(response: ServerResponse): void {
  response.writeHead(417, { 'content-length': '0', connection: 'close' });
  response.end();
}

function route(options: PortOptions, request: IncomingMessage, response: ServerResponse): void {
  const { context } = options;
  const [path, query] = split(request.url ?? '/');
  if (request.method === 'OPTIONS') {
    send(response, preflight(context, request));
  } else if (path === context.path) {
    void serve(options, new Call(context, request, response));
  } else if (path === PEER_PATH && request.method === 'GET') {
    const answer = proof(context.sealer, context.boot, new URLSearchParams(query));
    send(response, answer === undefined ? empty(404) : { status: 200, body: answer });
  } else if (path.startsWith('/.well-known/') && request.method === 'GET') {
    wellKnown(context, request, response, path);
  } else {
    send(response, empty(404));
  }
}

function split(url: string): readonly [path: string, query: string] {
  const at = url.indexOf('?');
  return at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at)];
}

/** Takes a call through the chain, or through what is left of it. */
async function serve(options: PortOptions, call: Call, chain = CHAIN): Promise<void> {
  try {
    for (const step of chain) {
      const outcome = step(call);
      const answer = outcome instanceof Promise ? await outcome : outcome;
      if (answer !== undefined) {
        call.answer(answer);
        return;
      }
      if (call.peer !== undefined) {
        handOver(call, call.peer, () => void serve(options, call, chain.slice(chain.indexOf(step) + 1)));
        return;
      }
    }
    forward(call);
  } catch (error) {
    // Fail closed: nothing was sent to the server by a step that threw.
    options.unexpected(error);
    call.outcome = { decision: 'error', code: 'GUARD_ERROR' };
    call.answer(json(500, '{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"}}'));
  }
}

function send(response: ServerResponse, answer: Answer): void {
  const body = answer.body ?? '';
  response.writeHead(answer.status, responseHeaders([], { replace: answer.headers ?? new Map(), length: Buffer.byteLength(body) }));
  response.end(body);
}

function preflight(context: GuardContext, request: IncomingMessage): Answer {
  const { origin } = request.headers;
  const settings = context.enforcement()?.bundle.settings;
  if (origin === undefined || settings === undefined) return empty(405, new Map([['allow', 'GET, POST, DELETE']]));
  if (!originAllowed(origin, { hosts: settings.hosts, origins: settings.allowedOrigins })) return empty(403);
  return empty(204, preflightHeaders(origin, request.headers['access-control-request-headers']));
}

const OAUTH = /^\/\.well-known\/(?:oauth-|openid-configuration)/;

/** OAuth metadata: ours where the guard checks tokens, the server's own where that does. */
function wellKnown(context: GuardContext, request: IncomingMessage, response: ServerResponse, path: string): void {
  const authentication = context.enforcement()?.bundle.authentication;
  if (authentication?.type === 'Upstream' && OAUTH.test(path)) {
    passThrough(context, request, response, path);
    return;
  }
  const ours = path === METADATA_PATH || path === `${METADATA_PATH}${context.path}`;
  const protocol = request.headers['x-forwarded-proto'];
  const origin = originOf(request.headers.host, Array.isArray(protocol) ? protocol[0] : protocol);
  send(response, (ours && authentication !== undefined ? metadata(authentication, origin, context.path) : undefined) ?? empty(404));
}

const MAXIMUM_METADATA = 1024 * 1024;

function passThrough(context: GuardContext, request: IncomingMessage, response: ServerResponse, path: string): void {
  const relay = new ResponseRelay(
    response,
    {
      limit: MAXIMUM_METADATA,
      judgeBody: false,
      judge: () => PASS,
      head: () => new Map(),
      failure: ({ status }) => empty(status),
    },
    () => undefined,
  );
  const headers = requestHeaders(request.rawHeaders, { credential: true, replace: new Map() });
  relay.attach(context.upstream.send({ method: 'GET', path, query: '', headers, body: undefined, caller: nobody }, relay));
  response.once('close', () => relay.disconnected(true));
}
