/** Where a span belongs: the trace, the span that caused it, and whether whoever began the trace wants it recorded. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Reads a `traceparent`; `undefined` for anything that is none. Source: W3C Trace Context, section 3.2. */
export function traceContext(text: unknown): TraceContext | undefined {
  if (typeof text !== 'string' || text.length > 512) return undefined;
  const [, version, traceId = '', spanId = '', flags = '0'] = FORM.exec(text) ?? [];
  if (version === undefined || version === 'ff' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  // Version 00 ends with its flags.
  if (version === '00' && text.length !== 55) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The context as a `traceparent` of version 00. */
export function traceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}
