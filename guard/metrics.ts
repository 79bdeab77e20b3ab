import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Buckets in seconds. Source: OpenTelemetry semantic conventions for MCP. */
const OPERATION_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];
/** What the guard itself may take: 50 µs to 50 ms. */
const OVERHEAD_BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05];

/** A label value for names that callers could invent. */
export const OTHER = '_OTHER';
/** Different tool names that become label values; all others are `_OTHER`. */
const MAXIMUM_TOOLS = 200;
/** The same for errors: servers choose their codes. */
const MAXIMUM_ERROR_TYPES = 100;

/** One finished operation, as metrics see it. */
export interface Operation {
  readonly method: string;
  /** Only a tool that the inventory knows. */
  readonly tool: string;
  readonly errorType: string;
  readonly version: string;
  /** Seconds. */
  readonly total: number;
  readonly upstream: number | undefined;
}

export interface MetricSources {
  readonly calls: () => number;
  readonly streams: () => number;
  readonly auditMissing: () => number;
  readonly knownTools: () => number;
}

/** The guard's metrics: OpenTelemetry's MCP names in Prometheus form, and ours where there are none. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #server: Histogram;
  readonly #client: Histogram;
  readonly #overhead: Histogram;
  readonly #decisions: Counter;
  readonly #listItems: Counter;
  readonly #authenticationFailures: Counter;
  readonly #upstreamErrors: Counter;
  readonly #bundleErrors: Counter;
  readonly #requests: Counter;
  readonly #droppedSpans: Counter;
  readonly #tools = new Set<string>();
  readonly #errorTypes = new Set<string>();

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    const operation = ['mcp_method_name', 'gen_ai_tool_name', 'error_type', 'mcp_protocol_version'];
    this.#server = new Histogram({
      name: 'mcp_server_operation_duration_seconds',
      help: 'Duration of MCP requests as their callers see it',
      labelNames: operation,
      buckets: OPERATION_BUCKETS,
      registers,
    });
    this.#client = new Histogram({
      name: 'mcp_client_operation_duration_seconds',
      help: 'Duration of MCP requests between guard and server',
      labelNames: operation,
      buckets: OPERATION_BUCKETS,
      registers,
    });
    this.#overhead = new Histogram({
      name: 'mcp_fleet_guard_overhead_duration_seconds',
      help: 'Time that the guard itself added to a request',
      labelNames: ['mcp_method_name'],
      buckets: OVERHEAD_BUCKETS,
      registers,
    });
    this.#decisions = counter(registers, 'mcp_fleet_guard_decisions_total', 'Decisions by outcome, code and policy', [
      'event_action',
      'code',
      'security_rule_ruleset_name',
      'gen_ai_tool_name',
    ]);
    this.#listItems = counter(registers, 'mcp_fleet_guard_list_items_total', 'Items of lists, shown and hidden', ['kind', 'visibility']);
    this.#authenticationFailures = counter(registers, 'mcp_fleet_guard_authentication_failures_total', 'Refused credentials', ['kind']);
    this.#upstreamErrors = counter(registers, 'mcp_fleet_guard_upstream_errors_total', 'Exchanges with the server that failed', ['status']);
    this.#bundleErrors = counter(registers, 'mcp_fleet_guard_bundle_errors_total', 'Bundles and files beside it that were refused', [
      'file',
    ]);
    this.#requests = counter(
      registers,
      'mcp_fleet_guard_requests_total',
      'Requests that reached this guard, without those handed over',
      [],
    );
    this.#droppedSpans = counter(registers, 'mcp_fleet_guard_spans_dropped_total', 'Spans that their receiver never got', []);
    gauge(registers, 'mcp_fleet_guard_requests_active', 'Calls in flight', sources.calls);
    gauge(registers, 'mcp_fleet_guard_streams_active', 'Streams that are open', sources.streams);
    gauge(registers, 'mcp_fleet_guard_audit_missing_records', 'Audit records left out since the last one written', sources.auditMissing);
    gauge(registers, 'mcp_fleet_guard_tools_known', 'Tools in the inventory', sources.knownTools);
    gauge(registers, 'process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  operation(operation: Operation): void {
    const labels = {
      mcp_method_name: operation.method,
      gen_ai_tool_name: this.#tool(operation.tool),
      error_type: capped(this.#errorTypes, operation.errorType, MAXIMUM_ERROR_TYPES),
      mcp_protocol_version: operation.version,
    };
    this.#requests.inc();
    this.#server.observe(labels, operation.total);
    if (operation.upstream === undefined) return;
    this.#client.observe(labels, operation.upstream);
    this.#overhead.observe({ mcp_method_name: operation.method }, Math.max(0, operation.total - operation.upstream));
  }

  decision(action: string, code: string, policy: string, tool: string): void {
    this.#decisions.inc({ event_action: action, code, security_rule_ruleset_name: policy, gen_ai_tool_name: this.#tool(tool) });
  }

  list(kind: string, visible: number, hidden: number): void {
    this.#listItems.inc({ kind, visibility: 'visible' }, visible);
    this.#listItems.inc({ kind, visibility: 'hidden' }, hidden);
  }

  authenticationFailed(kind: string): void {
    this.#authenticationFailures.inc({ kind });
  }

  upstreamFailed(status: number): void {
    this.#upstreamErrors.inc({ status: String(status) });
  }

  bundleRefused(file: string): void {
    this.#bundleErrors.inc({ file });
  }

  spansDropped(spans: number): void {
    this.#droppedSpans.inc(spans);
  }

  #tool(name: string): string {
    return capped(this.#tools, name, MAXIMUM_TOOLS);
  }
}

/** A label value of which there are no more than `maximum`: whatever comes after them is `_OTHER`. */
function capped(seen: Set<string>, value: string, maximum: number): string {
  if (value === '' || value === OTHER || seen.has(value)) return value;
  if (seen.size >= maximum) return OTHER;
  seen.add(value);
  return value;
}

function counter(registers: Registry[], name: string, help: string, labelNames: string[]): Counter {
  return new Counter({ name, help, labelNames, registers });
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  const metric: Gauge = new Gauge({ name, help, registers, collect: () => metric.set(read()) });
}
