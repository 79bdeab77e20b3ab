import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../mcp/policy/caller.ts';
import type { Decision, DenyCode, Reason } from '../mcp/policy/decision.ts';
import type { PolicyObject } from '../mcp/policy/engine.ts';
import type { Answer } from './answers.ts';
import type { AuditRecord } from './audit/log.ts';
import { auditCaller } from './audit/log.ts';
import { redacted } from './audit/redaction.ts';
import type { GuardContext } from './context.ts';
import type { Enforcement } from './enforcement.ts';
import { responseHeaders } from './headers.ts';
import type { Era } from './message/era.ts';
import type { Message, RequestId } from './message/message.ts';
import { isObject, own } from './message/message.ts';
import type { Document } from './message/scan.ts';
import type { Edit } from './message/spans.ts';
import { OTHER } from './metrics.ts';
import { corsHeaders } from './origin.ts';
import type { RefusalCode } from './refusalcode.ts';
import type { Round } from './rounds.ts';
import type { RequestState } from './seals.ts';
import type { CallTrace } from './traces/tracer.ts';
import { parents } from './traces/tracer.ts';
import type { Upstream, UpstreamFailure } from './upstream/upstream.ts';

/** How a refusal that no policy decision describes is written down. */
export interface Outcome {
  readonly decision: AuditRecord['decision'];
  readonly code: RefusalCode | DenyCode;
  readonly cause?: string;
}

/** A sibling guard that a request is handed over to. */
export interface Peer {
  readonly upstream: Upstream;
  /** What the caller is told when the exchange failed; nothing: the sibling has not seen the request, and this guard goes on with it. */
  readonly failed: (failure: UpstreamFailure) => Answer | undefined;
}

/**
 * One request from its arrival to its closing record. The steps of the chain fill it in; what is not known yet is `undefined`.
 *
 * Guarantees: `close` writes exactly one record, `closedElsewhere` none; whichever is first releases every slot exactly once, however the request ended.
 */
export class Call {
  readonly context: GuardContext;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly started: number;
  enforcement: Enforcement | undefined;
  body: Buffer | undefined;
  document: Document | undefined;
  message: Message | undefined;
  /** The page that may read the answer. */
  origin: string | undefined;
  era: Era = 'legacy';
  version: string | undefined;
  caller: Caller | undefined;
  /** When the caller's credential ends, milliseconds since 1970. */
  expires: number | undefined;
  /** The id of the session at the server of this pod. */
  upstreamSession: string | undefined;
  /** The sibling that this request is handed over to. */
  peer: Peer | undefined;
  /** What the caller brings back of an earlier answer, if its seal is one of ours. */
  requestState: RequestState | undefined;
  /** The round that this request is of a call that has paid; `undefined`: it pays itself. */
  freeRound: Round | undefined;
  object: PolicyObject | undefined;
  decision: Decision | undefined;
  wouldDeny: Reason | undefined;
  outcome: Outcome | undefined;
  trace: CallTrace | undefined;
  /** What of the body is sent on otherwise than it came: seals of ours are opened. */
  readonly edits: Edit[] = [];
  /** Request fields that the server gets instead of the caller's. */
  readonly headers = new Map<string, string>();
  readonly #releases: (() => void)[] = [];
  #sentAt: number | undefined;
  #answeredAt: number | undefined;
  #errorType: string | undefined;
  #closed = false;

  constructor(context: GuardContext, request: IncomingMessage, response: ServerResponse) {
    this.context = context;
    this.request = request;
    this.response = response;
    this.requestId = context.newId();
    this.started = performance.now();
  }

  /** The id of the JSON-RPC request, when there is one. */
  get id(): RequestId | undefined {
    return this.message?.kind === 'request' ? this.message.id : undefined;
  }

  /** The JSON-RPC method, or the HTTP method for requests without one. */
  get method(): string {
    if (this.message === undefined) return this.request.method ?? '';
    return this.message.kind === 'response' ? 'response' : this.message.method;
  }

  /** One header field of the request. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** A slot that is given back when the request closes. */
  hold(release: () => void): void {
    this.#releases.push(release);
  }

  sent(): void {
    this.#sentAt = performance.now();
  }

  /** The server has said everything about this request. */
  answered(): void {
    this.#answeredAt ??= performance.now();
  }

  /** How the server's answer to this request ended; `undefined` is success. */
  observe(errorType: string | undefined): void {
    this.#errorType = errorType;
  }

  /** Fields that every answer to this request carries. */
  answerHeaders(): ReadonlyMap<string, string> {
    const headers = new Map(this.origin === undefined ? [] : corsHeaders(this.origin));
    if (this.context.draining.leaving) headers.set('connection', 'close');
    return headers;
  }

  /** Sends an answer of ours and closes. */
  answer(answer: Answer): void {
    const body = answer.body ?? '';
    const bytes = Buffer.byteLength(body);
    const replace = new Map([...this.answerHeaders(), ...(answer.headers ?? [])]);
    // A body that was not read to its end would be taken for the next request on this connection.
    if (!this.request.complete) replace.set('connection', 'close');
    if (!this.response.headersSent && !this.response.destroyed) {
      this.response.writeHead(answer.status, responseHeaders([], { replace, length: bytes }));
      this.response.end(body);
    }
    this.close(answer.status, bytes, undefined);
  }

  /** Another guard has decided on the request, and records it. */
  closedElsewhere(): void {
    this.#release();
  }

  close(status: number, bytes: number, failure: string | undefined): void {
    if (!this.#release()) return;
    const { enforcement } = this;
    const total = performance.now() - this.started;
    const upstream = this.#sentAt === undefined ? undefined : (this.#answeredAt ?? performance.now()) - this.#sentAt;
    const errorType = this.#errorType ?? this.#ownErrorType(status, failure);
    this.#measure(total, upstream, errorType);
    this.#endTrace(total, upstream, errorType);
    if (enforcement === undefined) return;
    const { level, onFailure } = enforcement.engine.settings.audit;
    if (level === 'None') return;
    // Of what a destructive call did, its record may be all that is left.
    const urgent = onFailure === 'Block' && this.decision?.class === 'Destructive';
    this.context.audit.write(this.#record(enforcement, { status, error: errorType, bytes }, total, upstream, failure), urgent);
  }

  /** True when this is what closes the call. */
  #release(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    for (const release of this.#releases) release();
    return true;
  }

  #ownErrorType(status: number, failure: string | undefined): string | undefined {
    if (this.outcome !== undefined && this.outcome.decision !== 'allow') return this.outcome.code;
    if (this.decision?.effect === 'deny') return this.decision.code;
    if (failure !== undefined) return 'upstream';
    return status >= 400 ? String(status) : undefined;
  }

  #measure(total: number, upstream: number | undefined, errorType: string | undefined): void {
    const { metrics } = this.context;
    const tool = this.object?.type !== 'tool' ? '' : this.object.facts === undefined ? OTHER : this.object.name;
    const method = this.context.methodLabel(this.method);
    const version = this.context.versionLabel(this.version);
    const seconds = upstream === undefined ? undefined : upstream / 1000;
    metrics.operation({ method, tool, errorType: errorType ?? '', version, total: total / 1000, upstream: seconds });
    const reason = this.#reason();
    metrics.decision(reason.decision, reason.code, reason.origin.policy ?? '', tool);
  }

  #endTrace(total: number, upstream: number | undefined, errorType: string | undefined): void {
    const { tracer, now } = this.context;
    if (tracer === undefined) return;
    // What is refused never was on its way to the server.
    this.trace ??= tracer.begin(this);
    if (this.trace === undefined) return;
    const { decision, code, origin } = this.#reason();
    const sentAfter = this.#sentAt === undefined ? undefined : this.#sentAt - this.started;
    tracer.end(this, this.trace, {
      at: now(),
      total,
      sentAfter,
      upstream,
      errorType,
      decision,
      code,
      policy: origin.policy,
      rule: origin.rule,
    });
  }

  #reason(): Pick<AuditRecord, 'decision' | 'code' | 'origin'> {
    if (this.outcome !== undefined) return { decision: this.outcome.decision, code: this.outcome.code, origin: {} };
    if (this.decision?.effect === 'deny') return { decision: 'deny', code: this.decision.code, origin: this.decision };
    if (this.wouldDeny !== undefined) return { decision: 'wouldDeny', code: this.wouldDeny.code, origin: this.wouldDeny };
    return { decision: 'allow', code: 'ALLOWED', origin: this.decision ?? {} };
  }

  #record(
    enforcement: Enforcement,
    result: AuditRecord['result'],
    total: number,
    upstream: number | undefined,
    failure: string | undefined,
  ): AuditRecord {
    const { namespace, name } = enforcement.bundle.server;
    const facts = this.decision;
    const rounded = (value: number): number => Math.round(value * 1000) / 1000;
    return {
      server: { namespace, name },
      caller: this.caller === undefined ? undefined : auditCaller(this.caller),
      client: this.#client(),
      method: this.method,
      object:
        this.object === undefined
          ? undefined
          : {
              type: this.object.type,
              name: this.object.name,
              ...(facts?.class === undefined ? {} : { class: facts.class }),
              ...(facts?.classSource === undefined ? {} : { classSource: facts.classSource }),
              ...(facts?.pin === undefined ? {} : { pin: facts.pin }),
            },
      ...this.#reason(),
      cause: failure ?? this.outcome?.cause,
      arguments: this.#arguments(enforcement),
      result,
      timing: { totalMs: rounded(total), guardMs: rounded(total - (upstream ?? 0)), upstreamMs: rounded(upstream ?? 0) },
      requestId: this.requestId,
      traceId: this.#traceId(),
    };
  }

  #arguments(enforcement: Enforcement): AuditRecord['arguments'] {
    if (this.message?.kind !== 'request') return undefined;
    const text = this.message.params.text('arguments');
    if (text === undefined) return undefined;
    const { level, redact } = enforcement.engine.settings.audit;
    if (level === 'Arguments') return { redacted: redacted(JSON.parse(text), redact) };
    return { digest: this.context.sealer.digest(text) };
  }

  #client(): string | undefined {
    if (this.message === undefined || this.message.kind === 'response') return undefined;
    const { method, params } = this.message;
    const meta = this.era === 'modern' ? params.read('_meta') : undefined;
    const info = method === 'initialize' ? params.read('clientInfo') : isObject(meta) ? own(meta, CLIENT_INFO) : undefined;
    const name = isObject(info) ? own(info, 'name') : undefined;
    return typeof name === 'string' ? name : undefined;
  }

  #traceId(): string | undefined {
    if (this.trace !== undefined) return this.trace.traceId;
    const { message, header } = parents(this);
    return (message ?? header)?.traceId;
  }
}

const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';
