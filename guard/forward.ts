import type { Answer } from './answers.ts';
import { rpcError } from './answers.ts';
import type { Call, Peer } from './call.ts';
import { field, requestHeaders } from './headers.ts';
import { forwardedIdentity } from './identity.ts';
import { judge } from './judgement.ts';
import { edited } from './message/spans.ts';
import { isObject, own } from './message/message.ts';
import { LISTS } from './relay/listing.ts';
import type { ResponseRules } from './relay/response.ts';
import { PASS, ResponseRelay } from './relay/response.ts';
import { eventIdSealer } from './seals.ts';
import { HOP_HEADER, hopMarker } from './session/peers.ts';
import type { ListKind, OpenStream } from './streams.ts';
import type { ResponseSink, UpstreamFailure, UpstreamRequest } from './upstream/upstream.ts';
import { nobody } from './upstream/upstream.ts';

/** Bytes of an answer when no policy says less. */
const MAXIMUM_RESPONSE_BYTES = 64 * 1024 * 1024;
/** How long a call may take when no policy says less, milliseconds. */
const CALL_TIMEOUT = 600_000;
/** A stream is ended this long after its caller's credential, milliseconds: the client comes back with a new one. */
const EXPIRY_GRACE = 1_000;

/** Sends an admitted request to the server and relays what comes back. */
export function forward(call: Call): void {
  const { context, enforcement, caller } = call;
  if (enforcement === undefined || caller === undefined) return;
  const stream = isStream(call);
  if (stream) {
    const slot = context.limiter().acquireStream(caller);
    if (slot.refusal !== undefined) {
      call.decision = slot.refusal;
      call.answer(rpcError(call.id === undefined ? 429 : 200, call.id, 429, slot.refusal.message));
      return;
    }
    call.hold(slot.release);
  } else {
    context.draining.callStarted();
    call.hold(() => context.draining.callEnded());
  }
  const relay = new ResponseRelay(call.response, rules(call), ({ status, bytes, failure }) => {
    call.close(status, bytes, failure);
  });
  if (stream) open(call, relay);
  const timer = stream ? undefined : setTimeout(() => relay.stop(timeout(call)), enforcement.engine.settings.callTimeoutMs ?? CALL_TIMEOUT);
  if (timer !== undefined) call.hold(() => clearTimeout(timer));
  call.trace = context.tracer?.begin(call);
  if (call.trace !== undefined) context.tracer?.propagate(call, call.trace);
  call.sent();
  relay.attach(context.upstream.send(upstreamRequest(call), relay));
  // Legacy: a client that goes away does not cancel (it may resume); modern: it does, and so does the end of a stream.
  call.response.once('close', () => relay.disconnected(stream || call.era === 'modern'));
}

/**
 * Gives a request to the sibling that should have it, which decides, counts and records it. `goOn` is called instead when the sibling has not seen it
 * and this guard can serve it as well. Nothing is ever sent twice. What fails on the way is recorded here: the sibling may be dead, or never have got it.
 */
export function handOver(call: Call, peer: Peer, goOn: () => void): void {
  const { context, response } = call;
  const stream = isStream(call);
  const relay: ResponseRelay = new ResponseRelay(
    response,
    {
      limit: MAXIMUM_RESPONSE_BYTES,
      judgeBody: false,
      judge: () => PASS,
      head: () => call.answerHeaders(),
      failure: (failure) => peer.failed(failure) ?? upstreamAnswer(call, failure),
    },
    ({ status, bytes, failure }) => {
      if (stream) context.streams.removeHandedOver(relay);
      else context.draining.callEnded();
      if (call.peer === undefined) return;
      if (failure === undefined) {
        call.closedElsewhere();
        return;
      }
      call.outcome ??= { decision: 'error', code: 'HANDOVER', cause: failure };
      call.close(status, bytes, undefined);
    },
  );
  // This guard waits for what passes through it, and ends such streams, as it does with its own.
  if (stream) context.streams.addHandedOver(relay);
  else context.draining.callStarted();
  const abort = call.message === undefined || call.era === 'modern';
  let answering = false;
  const gone = (): void => {
    // A sibling that answers notices that its caller leaves, and records it; another one may not even have got the request.
    if (abort && answering) call.closedElsewhere();
    relay.disconnected(abort);
  };
  const sink: ResponseSink = {
    head: (status, headers) => {
      answering = true;
      relay.head(status, headers);
    },
    data: (chunk) => relay.data(chunk),
    end: () => relay.end(),
    fail: (failure) => {
      if (peer.failed(failure) !== undefined) {
        relay.fail(failure);
        return;
      }
      response.off('close', gone);
      call.peer = undefined;
      // Before this exchange ends: with no call running in between, draining would be over.
      goOn();
      relay.disconnected(true);
    },
  };
  relay.attach(peer.upstream.send(handedOver(call), sink));
  response.once('close', gone);
}

/** The request as it came, but for what concerns the connection alone. */
function handedOver(call: Call): UpstreamRequest {
  const { rawHeaders } = call.request;
  const headers: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!/^(?:host|connection|keep-alive|transfer-encoding|content-length|upgrade|te|trailer|expect)$/i.test(name)) {
      headers.push(name, rawHeaders[at + 1] ?? '');
    }
  }
  const { sealer, now } = call.context;
  headers.push(HOP_HEADER, hopMarker(sealer, call.request.socket.remoteAddress, now()));
  return { method: httpMethod(call), query: queryOf(call), headers, body: call.body, caller: nobody };
}

function upstreamRequest(call: Call): UpstreamRequest {
  const { request, context, enforcement, caller } = call;
  const authentication = enforcement?.bundle.authentication;
  const identity = forwardedIdentity(authentication, caller);
  const replace = new Map([...identity.headers, ...call.headers]);
  const body = call.edits.length === 0 || call.document === undefined ? call.body : Buffer.from(edited(call.document.text, call.edits));
  return {
    method: httpMethod(call),
    query: queryOf(call),
    headers: requestHeaders(request.rawHeaders, { credential: identity.credential, replace }),
    body,
    // Hashed only for servers that keep callers apart.
    caller: () => (caller === undefined ? '' : context.sessions.owner(caller)),
  };
}

function httpMethod(call: Call): 'POST' | 'GET' | 'DELETE' {
  const { method } = call.request;
  return method === 'GET' || method === 'DELETE' ? method : 'POST';
}

function queryOf({ request: { url = '' } }: Call): string {
  const at = url.indexOf('?');
  return at === -1 ? '' : url.slice(at);
}

function isStream(call: Call): boolean {
  return call.request.method === 'GET' || call.method === 'subscriptions/listen';
}

function rules(call: Call): ResponseRules {
  const { enforcement } = call;
  const eventId = call.era === 'legacy' ? eventIdSealer(call) : undefined;
  return {
    limit: enforcement?.engine.settings.maxResponseBytes ?? MAXIMUM_RESPONSE_BYTES,
    ended: () => call.answered(),
    judgeBody: judgesBody(call),
    judge: (message, text) => judge(call, message, text),
    head: (status, headers) => responseFields(call, status, headers),
    ...(eventId === undefined ? {} : { eventId }),
    failure: (failure) => upstreamAnswer(call, failure),
  };
}

/** Whether the answer, should it be one JSON body, must be seen as a whole before it goes on. Otherwise it streams. */
function judgesBody(call: Call): boolean {
  if (call.enforcement?.transparent === true && call.enforcement.bundle.authentication.type !== 'Guard') return false;
  // Lists are filtered, also those that a lenient server gives to a request without an id, or to a GET.
  if (call.message === undefined || LISTS.some((list) => list.method === call.method)) return true;
  // Modern results may ask for input; task ids and request states are sealed.
  return call.message.kind === 'request' && (call.era === 'modern' || sealable(call));
}

function sealable(call: Call): boolean {
  if (call.enforcement?.bundle.authentication.type !== 'Guard' || call.message?.kind !== 'request') return false;
  return call.method.startsWith('tasks/') || call.message.params.text('task') !== undefined;
}

function responseFields(call: Call, status: number, headers: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map(call.answerHeaders());
  const session = field(headers, 'mcp-session-id');
  if (session !== undefined && call.caller !== undefined) fields.set('mcp-session-id', call.context.sessions.seal(session, call.caller));
  if (call.request.method === 'DELETE' && status < 300 && call.upstreamSession !== undefined) {
    call.context.conversations.ended(`session ${call.upstreamSession}`);
  }
  return fields;
}

function upstreamAnswer(call: Call, failure: UpstreamFailure): Answer {
  call.outcome = { decision: 'error', code: 'UPSTREAM', cause: failure.cause };
  call.context.metrics.upstreamFailed(failure.status);
  return rpcError(failure.status, call.id, failure.status, `Upstream: ${failure.cause}`);
}

function timeout(call: Call): UpstreamFailure {
  const limit = call.enforcement?.engine.settings.callTimeoutMs ?? CALL_TIMEOUT;
  return { status: 504, cause: `the server did not answer within ${limit / 1000} s` };
}

/** Puts a stream among the open ones, until it ends. */
function open(call: Call, relay: ResponseRelay): void {
  const { context, caller, expires } = call;
  if (caller === undefined) return;
  const stream: OpenStream = {
    relay,
    caller,
    kinds: listenKinds(call),
    notification: (kind) => JSON.stringify(listChanged(call, kind)),
    allowed: (enforcement) =>
      call.message === undefined ||
      enforcement.transparent ||
      enforcement.engine.decide({ caller, method: 'subscriptions/listen' }).effect === 'allow',
  };
  context.streams.add(stream);
  call.hold(() => context.streams.remove(stream));
  if (expires === undefined) return;
  // Longer timers than Node can hold end the stream early, which a client survives.
  const timer = setTimeout(() => relay.close(), Math.min(expires + EXPIRY_GRACE - context.now(), 2 ** 31 - 1));
  timer.unref();
  call.hold(() => clearTimeout(timer));
}

const KINDS: readonly ListKind[] = ['tools', 'prompts', 'resources'];

/** A legacy stream carries every change, a modern one what it asked for. */
function listenKinds(call: Call): ReadonlySet<ListKind> {
  if (call.message?.kind !== 'request') return new Set(KINDS);
  const wanted = call.message.params.read('notifications');
  return new Set(KINDS.filter((kind) => isObject(wanted) && own(wanted, `${kind}ListChanged`) === true));
}

function listChanged(call: Call, kind: ListKind): object {
  const method = `notifications/${kind}/list_changed`;
  if (call.message?.kind !== 'request') return { jsonrpc: '2.0', method };
  const subscription = { 'io.modelcontextprotocol/subscriptionId': call.message.id.value };
  return { jsonrpc: '2.0', method, params: { _meta: subscription } };
}
