import type { Denied } from '../mcp/policy/decision.ts';
import type { Admission } from '../mcp/policy/limiter.ts';
import type { Answer, Denial } from './answers.ts';
import { empty, methodRefused, refused, RPC, rpcError, sessionNotFound, unavailable, unknownObject, withHeaders } from './answers.ts';
import { insufficientScope, originOf, unauthenticated } from './authentication/challenge.ts';
import { readBody } from './body.ts';
import type { Call, Outcome } from './call.ts';
import { duplicate, isJson } from './headers.ts';
import { eraOf } from './message/era.ts';
import { message } from './message/message.ts';
import { scan } from './message/scan.ts';
import { openSeals, openState } from './seals.ts';
import { originAllowed } from './origin.ts';
import { HOP_HEADER, hopSource } from './session/peers.ts';
import { objectOf, subscriptions } from './subject.ts';
import type { UpstreamFailure } from './upstream/upstream.ts';

/** Looks at one aspect of a request. Gives the answer that refuses it, or nothing. */
type Step = (call: Call) => Answer | undefined | Promise<Answer | undefined>;

/** Requests that are served at once; beyond, waiting would only move the queue into memory. */
const MAXIMUM_IN_FLIGHT = 4_096;
/** Bytes of a body when no policy says less. */
const MAXIMUM_REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * The way of every request, in the order of guard.md, "Decision"; the first refusal is the answer. Cheap and general checks come first,
 * nothing is revealed before the caller is known, and limits of a caller are used up by nobody else.
 */
export const CHAIN: readonly Step[] = [
  capacity,
  shape,
  body,
  era,
  authentication,
  session,
  round,
  callerRate,
  seals,
  decision,
  toolLimits,
  auditIntent,
];

function capacity(call: Call): Answer | undefined {
  const { context } = call;
  call.enforcement = context.enforcement();
  if (call.enforcement === undefined) return refuse(call, 'NOT_READY', unavailable(undefined, 'The guard has no policy bundle yet', 2));
  if (context.draining.calls > MAXIMUM_IN_FLIGHT) return refuse(call, 'OVERLOAD', unavailable(undefined, 'Too many requests at once', 1));
  return undefined;
}

function shape(call: Call): Answer | undefined {
  const { method, rawHeaders } = call.request;
  const origin = call.header('origin');
  const settings = call.enforcement?.bundle.settings;
  if (origin !== undefined && !originAllowed(origin, { hosts: settings?.hosts ?? [], origins: settings?.allowedOrigins ?? [] })) {
    // The request itself must not learn what an allowed page would: no CORS fields either.
    return refuse(call, 'ORIGIN', rpcError(403, undefined, RPC.invalidRequest, 'The Origin of this request is not allowed'));
  }
  call.origin = origin;
  if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') {
    return refuse(call, 'HTTP_METHOD', empty(405, new Map([['allow', 'GET, POST, DELETE']])));
  }
  const twice = duplicate(rawHeaders);
  if (twice !== undefined) return malformed(call, 400, RPC.invalidRequest, `The header ${twice} was sent twice`);
  return undefined;
}

async function body(call: Call): Promise<Answer | undefined> {
  if (call.request.method !== 'POST') return undefined;
  if (!isJson(call.header('content-type'))) return malformed(call, 415, RPC.invalidRequest, 'Content-Type must be application/json');
  const encoding = call.header('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return malformed(call, 415, RPC.invalidRequest, 'Content-Encoding is not accepted');
  }
  const limit = call.enforcement?.engine.settings.maxRequestBytes ?? MAXIMUM_REQUEST_BYTES;
  const share = call.context.bodies.share();
  call.hold(share.release);
  const read = await readBody(call.request, limit, share);
  if (read === 'too large') return malformed(call, 413, RPC.invalidRequest, `The body exceeds ${limit} bytes`);
  if (read === 'no room') return refuse(call, 'OVERLOAD', unavailable(undefined, 'Too many large requests at once', 1));
  if (read === 'gone') return malformed(call, 400, RPC.invalidRequest, 'The body ended early');
  const scanned = scan(read);
  if (!scanned.ok) {
    const code = scanned.problem === 'the body is not valid JSON' ? RPC.parse : RPC.invalidRequest;
    return malformed(call, 400, code, `Refused: ${scanned.problem}`);
  }
  const parsed = message(scanned.document);
  if (!parsed.ok) return malformed(call, 400, RPC.invalidRequest, `Refused: ${parsed.problem}`);
  call.body = read;
  call.document = scanned.document;
  call.message = parsed.message;
  return undefined;
}

function era(call: Call): Answer | undefined {
  call.version = call.header('mcp-protocol-version');
  if (call.message === undefined) return undefined;
  const headers = { version: call.version, method: call.header('mcp-method'), name: call.header('mcp-name') };
  const result = eraOf(call.message, headers);
  if (!result.ok) return malformed(call, 400, RPC.headerMismatch, `Bad Request: ${result.problem}`);
  call.era = result.era;
  call.version = result.version;
  return undefined;
}

async function authentication(call: Call): Promise<Answer | undefined> {
  const { context } = call;
  // A body may take minutes to arrive. What was taken back meanwhile does not count, least of all for a stream that stays.
  call.enforcement = context.enforcement();
  const { enforcement } = call;
  if (enforcement === undefined) return undefined;
  const result = await enforcement.authenticator.authenticate({
    authorization: call.header('authorization'),
    apiKey: call.header('x-api-key'),
    source: hopSource(context.sealer, call.header(HOP_HEADER), context.now()) ?? call.request.socket.remoteAddress,
  });
  if (result.ok) {
    call.caller = result.caller;
    call.expires = result.expires;
    return undefined;
  }
  context.metrics.authenticationFailed(result.kind);
  const origin = enforcement.bundle.authentication.jwt.length === 0 ? undefined : requestOrigin(call);
  if (result.kind === 'scope') return refuse(call, 'SCOPE', insufficientScope(call.id, origin, context.path, result), result.reason);
  return refuse(call, 'UNAUTHENTICATED', unauthenticated(call.id, origin, context.path, result), result.reason);
}

/** Legacy sessions are sealed by us; in the modern era the field means nothing and is not sent on. */
async function session(call: Call): Promise<Answer | undefined> {
  const { context, caller } = call;
  const presented = call.header('mcp-session-id');
  call.headers.set('mcp-session-id', '');
  if (call.era === 'modern' || caller === undefined || presented === undefined) return unbound(call);
  const found = context.sessions.open(presented, caller);
  if (found === undefined) return refuse(call, 'SESSION', sessionNotFound(call.id));
  if (found.place === 'here') {
    // Sessions end with their server, and it has been told that nothing comes any more.
    if (context.draining.over) return refuse(call, 'DRAINING', sessionNotFound(call.id));
    call.upstreamSession = found.upstreamId;
    call.headers.set('mcp-session-id', found.upstreamId);
    return undefined;
  }
  // A request that was handed over once is not handed over again: it would circle.
  if (wasHandedOver(call)) return refuse(call, 'SESSION', sessionNotFound(call.id));
  const { address, boot } = found;
  const upstream = await context.peers?.find(address, boot);
  if (upstream === undefined) return refuse(call, 'SESSION', sessionNotFound(call.id));
  call.peer = {
    upstream,
    failed: (failure) => {
      context.peers?.forget(address);
      // The pod is gone, and the session with it: the client begins anew. A call that the pod may have begun is told as what it is.
      return failure.unseen === true ? refuse(call, 'SESSION', sessionNotFound(call.id), 'its pod is gone') : siblingFailed(call, failure);
    },
  };
  return undefined;
}

/** What no session binds to this pod, while the pod takes leave: any other serves it as well, and a session that begins there lives on. */
function unbound(call: Call): Answer | undefined {
  const { draining, siblings } = call.context;
  const begins = call.message?.kind === 'request' && call.message.method === 'initialize';
  if (!draining.over && !(begins && draining.leaving)) return undefined;
  const answer = (): Answer | undefined => {
    if (!draining.active) return undefined;
    return refuse(call, 'DRAINING', unavailable(call.id, 'This server is shutting down; another one takes new sessions', 1));
  };
  // The Service may still lead back here.
  if (siblings === undefined || wasHandedOver(call)) return answer();
  const failed = (failure: UpstreamFailure): Answer | undefined => (failure.unseen === true ? answer() : siblingFailed(call, failure));
  call.peer = { upstream: siblings, failed };
  return undefined;
}

const wasHandedOver = (call: Call): boolean => call.header(HOP_HEADER) !== undefined;

const siblingFailed = (call: Call, { status, cause }: UpstreamFailure): Answer =>
  rpcError(status, call.id, status, `The pod that this was handed over to failed: ${cause}`);

/**
 * Rounds of one call under multi-round-trip requests are not new calls, where a seal of ours shows that they are rounds. What only says so pays, and
 * what is sealed wrong pays before it is refused.
 */
function round(call: Call): Answer | undefined {
  call.requestState = openState(call);
  const claimed = call.era === 'modern' ? call.requestState?.round : undefined;
  if (claimed !== undefined && call.context.rounds.pass(claimed)) call.freeRound = claimed;
  return undefined;
}

function callerRate(call: Call): Answer | undefined {
  const { message, caller } = call;
  if (message?.kind !== 'request' || caller === undefined || call.freeRound !== undefined) return undefined;
  return limited(call, call.context.limiter().admit(caller));
}

/** What a caller sends back that we gave it sealed; only its own opens. */
function seals(call: Call): Answer | undefined {
  const problem = openSeals(call);
  if (problem === undefined || call.id === undefined) return undefined;
  return refuse(call, problem.code, rpcError(200, call.id, RPC.invalidParams, problem.message));
}

function decision(call: Call): Answer | undefined {
  const { enforcement, message, caller } = call;
  if (enforcement === undefined || message === undefined || caller === undefined) return undefined;
  if (message.kind === 'response') return solicited(call);
  const subject = objectOf(call, message);
  if (subject === 'malformed') return unnamed(call, message.method);
  call.object = subject;
  const args = message.params.read('arguments');
  call.decision = enforcement.engine.decide({
    caller,
    method: message.method,
    ...(subject === undefined ? {} : { object: subject }),
    ...(args === undefined ? {} : { arguments: args }),
  });
  if (call.decision.effect === 'deny' && call.decision.code === 'NOT_FOUND') {
    call.context.inventory.ask();
    // Without a policy nothing is hidden: the server itself says what it does not have.
    if (enforcement.transparent) call.decision = { effect: 'allow', code: 'ALLOWED' };
  }
  if (call.decision.effect === 'deny') return denied(call, call.decision);
  call.wouldDeny = call.decision.wouldDeny;
  return subscriptionsAllowed(call);
}

/** Methods of the legacy era that a modern server does not have, whatever their parameters are. */
const LEGACY_ONLY = new Set(['resources/subscribe', 'resources/unsubscribe']);

/** An object that is not named by a string. Without a policy the server says so itself. */
function unnamed(call: Call, method: string): Answer | undefined {
  if (call.enforcement?.transparent === true) {
    call.decision = { effect: 'allow', code: 'ALLOWED' };
    return undefined;
  }
  if (call.id === undefined) return malformed(call, 400, RPC.invalidParams, 'The notification does not name its object');
  if (call.era === 'modern' && LEGACY_ONLY.has(method)) return refuse(call, 'METHOD', methodRefused(call.id, call.era, method));
  return refuse(call, 'MALFORMED', rpcError(200, call.id, RPC.invalidParams, 'Invalid params: the object is not named by a string'));
}

/** `subscriptions/listen` names resources of its own: each must be readable. */
function subscriptionsAllowed(call: Call): Answer | undefined {
  const { enforcement, message, caller } = call;
  if (message?.kind !== 'request' || message.method !== 'subscriptions/listen' || enforcement === undefined || caller === undefined) {
    return undefined;
  }
  for (const uri of subscriptions(message)) {
    const object = call.context.objects.resource(caller, uri);
    const decision = enforcement.engine.decide({ caller, method: 'resources/subscribe', object });
    if (decision.effect === 'allow' || (decision.code === 'NOT_FOUND' && enforcement.transparent)) continue;
    call.object = object;
    call.decision = decision;
    return denied(call, decision);
  }
  return undefined;
}

/** A posted answer is taken once, for a question that the server asked in this very session. */
function solicited(call: Call): Answer | undefined {
  const { message, context } = call;
  if (message?.kind !== 'response') return undefined;
  const method = context.conversations.answered(conversationOf(call), message.id.value);
  if (method !== undefined) return undefined;
  return refuse(call, 'UNSOLICITED', rpcError(400, undefined, RPC.invalidRequest, 'Nothing was asked under this id'));
}

function toolLimits(call: Call): Answer | undefined {
  const { message, caller, object, context } = call;
  if (message?.kind !== 'request' || caller === undefined) return undefined;
  if (object?.type === 'tool' && call.freeRound === undefined) {
    const answer = limited(call, context.limiter().admitTool(caller, object.name));
    if (answer !== undefined) return answer;
  }
  if (object === undefined) return undefined;
  const slot = context.limiter().acquire(caller);
  if (slot.refusal !== undefined) return limited(call, slot);
  call.hold(slot.release);
  call.wouldDeny ??= slot.wouldDeny;
  return undefined;
}

/** A destructive call leaves a trace or does not happen. */
function auditIntent(call: Call): Answer | undefined {
  const { enforcement, decision, message } = call;
  if (enforcement?.engine.settings.audit.onFailure !== 'Block' || decision?.class !== 'Destructive') return undefined;
  if (message?.kind !== 'request' || call.context.audit.writable) return undefined;
  const code = 'AUDIT_UNAVAILABLE';
  const denial = { code, message: 'Refused: the audit record cannot be written now. Retry later.', retryAfterMs: 5_000 };
  return refuse(call, code, refusedCall(call, denial));
}

function limited(call: Call, admission: Admission): Answer | undefined {
  call.wouldDeny ??= admission.wouldDeny;
  return admission.refusal === undefined ? undefined : denied(call, admission.refusal);
}

/** The answer in the form that the decision asks for. */
function denied(call: Call, decision: Denied): Answer | undefined {
  call.decision = decision;
  const { message, enforcement, object } = call;
  if (message === undefined || message.kind === 'response') return undefined;
  // A refused notification has nobody who waits for an answer.
  if (message.kind === 'notification') return call.era === 'modern' ? methodRefused(undefined, 'modern', message.method) : empty(202);
  const { answer } = decision;
  if (answer === 'NotFound' && object !== undefined) {
    return unknownObject(message.id, object.type === 'resourceTemplate' ? 'resource' : object.type, object.name);
  }
  if (answer === 'Method') return methodRefused(message.id, call.era, message.method);
  if (answer === 'Challenge') {
    const origin = enforcement?.bundle.authentication.jwt.length === 0 ? undefined : requestOrigin(call);
    const refusal = { kind: 'scope', reason: decision.message, scopes: neededScopes(call, decision) } as const;
    return insufficientScope(message.id, origin, call.context.path, refusal);
  }
  const { code, message: text, policy, rule, retryAfterMs } = decision;
  return refusedCall(call, {
    code,
    message: text,
    ...(policy === undefined ? {} : { policy }),
    ...(rule === undefined ? {} : { rule }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** The scopes of a token that would pass: those that the decision misses, and those without which the issuer's tokens do not count. */
function neededScopes(call: Call, decision: Denied): readonly string[] {
  const { caller, enforcement } = call;
  const issuer = enforcement?.bundle.authentication.jwt.find((each) => caller?.type === 'jwt' && each.issuer === caller.issuer);
  return [...new Set([...(issuer?.requiredScopes ?? []), ...(decision.scopes ?? [])])];
}

/** A refusal that the model shall read, where the method has results for it: not for a call that asked to become a task. */
function refusedCall(call: Call, denial: Denial): Answer | undefined {
  const { message } = call;
  if (message?.kind !== 'request') return undefined;
  const asToolResult = message.method === 'tools/call' && message.params.text('task') === undefined;
  return refused(message.id, call.era, asToolResult, denial, call.requestId);
}

/** Refused by something that is no policy: written down under its own code. */
function refuse(call: Call, code: Outcome['code'], answer: Answer | undefined, cause?: string): Answer | undefined {
  call.outcome = { decision: 'deny', code, ...(cause === undefined ? {} : { cause }) };
  return answer;
}

function malformed(call: Call, status: number, code: number, text: string): Answer | undefined {
  call.outcome = { decision: 'deny', code: 'MALFORMED', cause: text };
  const answer = rpcError(status, call.id, code, text);
  return status === 413 ? withHeaders(answer, { connection: 'close' }) : answer;
}

/** The session that server requests and their answers belong to; without sessions, the caller. */
export function conversationOf(call: Call): string {
  if (call.upstreamSession !== undefined) return `session ${call.upstreamSession}`;
  return call.caller === undefined ? '' : `caller ${call.context.sessions.owner(call.caller)}`;
}

function requestOrigin(call: Call): string | undefined {
  return originOf(call.header('host'), call.header('x-forwarded-proto'));
}
