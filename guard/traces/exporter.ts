import type { Client as Connection } from 'undici';
import { Client } from '../../mcp/connections.ts';
import type { Span } from './span.ts';
import { encodedSpan, exportRequest } from './span.ts';
import type { Attributes } from './span.ts';

export interface ExporterOptions {
  /** The base of the receiver: traces go to `/v1/traces` below it. */
  readonly endpoint: URL;
  readonly resource: () => Attributes;
  readonly version: string;
  /** Told when sending begins to fail, and once it works again (`undefined`). */
  readonly failing: (cause: string | undefined) => void;
  /** Told of spans that were given up. */
  readonly dropped: (spans: number) => void;
}

/** Spans that may wait. About 1 KB each. */
const MAXIMUM_WAITING = 2_048;
/** Spans of one export. */
const BATCH = 512;
/** A batch that is not full leaves after this time, milliseconds. */
const PATIENCE = 5_000;
/** How long a receiver may take, milliseconds. */
const TIMEOUT = 10_000;
/** The longest wait between two attempts, milliseconds. */
const LONGEST_PAUSE = 30_000;
/** How long the last spans may take when the guard stops, milliseconds. */
const FAREWELL = 1_000;
/** What a receiver says when the same bytes may be welcome later. Source: OTLP 1.x, "Retryable Response Codes". */
const RETRYABLE = new Set([429, 502, 503, 504]);

/**
 * Sends spans over OTLP/HTTP in JSON, one batch at a time.
 *
 * Guarantees: `offer` never waits and never throws; memory is bounded, and what does not fit is counted; a receiver that is dead or slow
 * concerns nobody else.
 */
export class SpanExporter {
  readonly #options: ExporterOptions;
  readonly #client: Connection;
  readonly #path: string;
  #waiting: string[] = [];
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pause = 0;
  #closing = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#client = new Client(options.endpoint.origin);
    this.#path = tracesPath(options.endpoint);
  }

  offer(span: Span): void {
    if (this.#waiting.length >= MAXIMUM_WAITING) {
      this.#options.dropped(1);
      return;
    }
    this.#waiting.push(encodedSpan(span));
    if (this.#waiting.length >= BATCH && this.#pause === 0) this.#send();
    else this.#wait(PATIENCE);
  }

  /** Sends what waits, once, and ends. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    await this.#sending;
    const last = Date.now() + FAREWELL;
    while (this.#waiting.length > 0 && this.#pause === 0 && Date.now() < last) {
      this.#send();
      await this.#sending;
    }
    await this.#client.destroy();
  }

  #wait(milliseconds: number): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#closing) return;
    this.#timer = setTimeout(() => this.#send(), milliseconds);
    this.#timer.unref();
  }

  #send(): void {
    if (this.#sending !== undefined || this.#waiting.length === 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#batch().then(() => {
      this.#sending = undefined;
      if (this.#waiting.length > 0) this.#wait(this.#pause > 0 ? this.#pause : this.#waiting.length >= BATCH ? 0 : PATIENCE);
    });
  }

  /** Sends the oldest spans. They leave the queue when they are taken, or when they never will be. */
  async #batch(): Promise<void> {
    const spans = this.#waiting.slice(0, BATCH);
    const problem = await this.#post(spans);
    if (problem !== undefined && problem.lasting) this.#options.dropped(spans.length);
    if (problem === undefined || problem.lasting) this.#waiting = this.#waiting.slice(spans.length);
    if ((problem === undefined) !== (this.#pause === 0)) this.#options.failing(problem?.cause);
    this.#pause = problem === undefined ? 0 : Math.min(Math.max(1_000, this.#pause * 2), LONGEST_PAUSE);
  }

  /** `lasting`: sending the same again would change nothing. */
  async #post(spans: readonly string[]): Promise<{ readonly cause: string; readonly lasting: boolean } | undefined> {
    const { resource, version } = this.#options;
    try {
      const response = await this.#client.request({
        method: 'POST',
        path: this.#path,
        headers: { 'content-type': 'application/json' },
        body: exportRequest(resource(), { name: 'mcp-fleet-guard', version }, spans),
        signal: AbortSignal.timeout(this.#closing ? FAREWELL : TIMEOUT),
      });
      await response.body.dump();
      if (response.statusCode < 300) return undefined;
      return { cause: `the receiver answered ${response.statusCode}`, lasting: !RETRYABLE.has(response.statusCode) };
    } catch (error) {
      return { cause: error instanceof Error ? error.message : String(error), lasting: false };
    }
  }
}

function tracesPath({ pathname }: URL): string {
  const path = pathname.replace(/\/$/, '');
  return path.endsWith('/v1/traces') ? path : `${path}/v1/traces`;
}
