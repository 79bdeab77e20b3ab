/** What a span can say; `undefined` values are left out. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Another span that caused this one. */
  readonly link: { readonly traceId: string; readonly spanId: string } | undefined;
  readonly name: string;
  readonly kind: 'SERVER' | 'CLIENT';
  /** Milliseconds since 1970, with fractions. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Attributes;
  readonly failed: boolean;
}

/** Numbers of opentelemetry/proto/trace/v1/trace.proto. */
const KIND = { SERVER: 2, CLIENT: 3 } as const;
const STATUS_ERROR = 2;

/** A span as OTLP writes it in JSON. Source: OTLP 1.x, "JSON Protobuf Encoding": ids in hexadecimal, 64 bit numbers as strings. */
export function encodedSpan(span: Span): string {
  const { traceId, spanId, parentSpanId, link, name, kind, start, end, attributes, failed } = span;
  return JSON.stringify({
    traceId,
    spanId,
    parentSpanId,
    name,
    kind: KIND[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: keyValues(attributes),
    links: link === undefined ? undefined : [link],
    status: failed ? { code: STATUS_ERROR } : undefined,
  });
}

/** An export request with spans that are encoded already. */
export function exportRequest(
  resource: Attributes,
  scope: { readonly name: string; readonly version: string },
  spans: readonly string[],
): string {
  const attributes = JSON.stringify(keyValues(resource));
  return `{"resourceSpans":[{"resource":{"attributes":${attributes}},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[${spans.join(',')}]}]}]}`;
}

function keyValues(attributes: Attributes): readonly object[] {
  const pairs: object[] = [];
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) pairs.push({ key, value: anyValue(value) });
  }
  return pairs;
}

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** A double holds no nanoseconds since 1970: whole milliseconds and what follows them are written apart. */
function nanoseconds(milliseconds: number): string {
  const whole = Math.trunc(milliseconds);
  return `${whole}${String(Math.trunc((milliseconds - whole) * 1e6)).padStart(6, '0')}`;
}
