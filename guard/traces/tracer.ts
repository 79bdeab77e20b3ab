import { randomBytes } from 'node:crypto';
import type { Call } from '../call.ts';
import { isObject, own } from '../message/message.ts';
import { memberSpans } from '../message/spans.ts';
import { OTHER } from '../metrics.ts';
import type { SpanExporter } from './exporter.ts';
import type { Attributes, Span } from './span.ts';
import type { TraceContext } from './tracecontext.ts';
import { traceContext, traceparent } from './tracecontext.ts';

/** The place of one request in its trace. */
export interface CallTrace {
  readonly traceId: string;
  readonly sampled: boolean;
  readonly parent: TraceContext | undefined;
  readonly link: TraceContext | undefined;
  /** The request as its caller sees it. */
  readonly server: string;
  /** The same request between guard and server. */
  readonly client: string;
}

/** What the callers sent: in the message, which counts, and in the header. Source: SEP-414; W3C Trace Context. */
export function parents(call: Call): { readonly message: TraceContext | undefined; readonly header: TraceContext | undefined } {
  const meta = call.message === undefined || call.message.kind === 'response' ? undefined : call.message.params.read('_meta');
  return {
    message: isObject(meta) ? traceContext(own(meta, 'traceparent')) : undefined,
    header: traceContext(call.header('traceparent')),
  };
}

/**
 * The spans of requests. Only JSON-RPC requests and notifications have them: streams that stay open for hours, and what was refused
 * before its method was read, are found in metrics and audit log.
 */
export class Tracer {
  readonly #exporter: SpanExporter;
  readonly #transport: 'tcp' | 'pipe';

  /** `transport`: how the server is spoken to. */
  constructor(exporter: SpanExporter, transport: 'tcp' | 'pipe') {
    this.#exporter = exporter;
    this.#transport = transport;
  }

  /** Gives a request its spans: in its caller's trace, or as the first ones of a new trace, which is recorded. */
  begin(call: Call): CallTrace | undefined {
    if (call.message === undefined || call.message.kind === 'response') return undefined;
    const { message, header } = parents(call);
    const parent = message ?? header;
    const random = randomBytes(32).toString('hex');
    return {
      traceId: parent?.traceId ?? random.slice(0, 32),
      sampled: parent?.sampled ?? true,
      parent,
      link: message !== undefined && header !== undefined && header.spanId !== message.spanId ? header : undefined,
      server: random.slice(32, 48),
      client: random.slice(48),
    };
  }

  /**
   * Tells the server its place in the trace: in the header, and in the message where the caller put one, since servers go by it and
   * over stdio there is nothing else. Nothing is added to a message.
   */
  propagate(call: Call, trace: CallTrace): void {
    const value = traceparent({ traceId: trace.traceId, spanId: trace.client, sampled: trace.sampled });
    call.headers.set('traceparent', value);
    const { document } = call;
    const meta = document?.params.find(({ key }) => key === '_meta');
    if (document === undefined || meta === undefined || parents(call).message === undefined) return;
    const place = memberSpans(document.text, meta.start).get('traceparent');
    if (place !== undefined) call.edits.push({ ...place, text: JSON.stringify(value) });
  }

  end(call: Call, trace: CallTrace, end: CallEnd): void {
    if (!trace.sampled) return;
    for (const span of spans(call, trace, end, this.#transport)) this.#exporter.offer(span);
  }
}

/** How a request went, as its closing record has it. */
export interface CallEnd {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds that all of it took, and the server alone; `undefined`: it was not asked. */
  readonly total: number;
  readonly sentAfter: number | undefined;
  readonly upstream: number | undefined;
  readonly errorType: string | undefined;
  readonly decision: string;
  readonly code: string;
  readonly policy: string | undefined;
  readonly rule: string | undefined;
}

/**
 * The spans of a finished request. Names of tools and prompts only if the inventory knows them, and nothing else that a caller or the
 * server chose: no arguments, no results, no URIs, no ids of sessions or requests.
 * Source: OpenTelemetry semantic conventions for MCP; the names of decisions are of their registry.
 */
function spans(call: Call, trace: CallTrace, end: CallEnd, transport: 'tcp' | 'pipe'): readonly Span[] {
  const { traceId, parent, link, server, client } = trace;
  const method = call.context.methodLabel(call.method);
  const object = call.object?.type === 'tool' || call.object?.type === 'prompt' ? call.object : undefined;
  const known = object?.type === 'tool' ? object.facts !== undefined : object?.known === true;
  const label = object === undefined ? undefined : known ? object.name : OTHER;
  const name = label === undefined ? method : `${method} ${label}`;
  const start = end.at - end.total;
  const shared: Attributes = {
    'mcp.method.name': method,
    'mcp.protocol.version': call.version === undefined ? undefined : call.context.versionLabel(call.version),
    'gen_ai.operation.name': call.method === 'tools/call' ? 'execute_tool' : undefined,
    'gen_ai.tool.name': object?.type === 'tool' ? label : undefined,
    'gen_ai.prompt.name': object?.type === 'prompt' ? label : undefined,
    'error.type': end.errorType,
    'rpc.response.status_code': end.errorType !== undefined && /^-?\d+$/.test(end.errorType) ? end.errorType : undefined,
  };
  const failed = end.errorType !== undefined;
  const whole: Span = {
    traceId,
    spanId: server,
    parentSpanId: parent?.spanId,
    link: link === undefined ? undefined : { traceId: link.traceId, spanId: link.spanId },
    name,
    kind: 'SERVER',
    start,
    end: end.at,
    attributes: {
      ...shared,
      'network.transport': 'tcp',
      'network.protocol.name': 'http',
      'event.action': end.decision,
      'mcp_fleet.decision.code': end.code,
      'security_rule.ruleset.name': end.policy,
      'security_rule.name': end.rule,
      'mcp_fleet.request_id': call.requestId,
    },
    failed,
  };
  if (end.upstream === undefined || end.sentAfter === undefined) return [whole];
  const sent = start + end.sentAfter;
  const leg = { traceId, spanId: client, parentSpanId: server, link: undefined, name, start: sent, end: sent + end.upstream } as const;
  return [whole, { ...leg, kind: 'CLIENT', attributes: { ...shared, 'network.transport': transport }, failed }];
}
