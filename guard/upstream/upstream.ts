/** What the guard needs of the server behind it, whatever it is reached by: HTTP, a Unix socket to a stdio child, or HTTP+SSE. */
export interface Upstream {
  /** Begins one exchange. The sink hears of it from later ticks only, and exactly one of `end` and `fail` is the last word. */
  send(request: UpstreamRequest, sink: ResponseSink): Exchange;
  /** Whether the server accepts connections now. Never throws. */
  reachable(): Promise<boolean>;
  close(): Promise<void>;
}

export interface UpstreamRequest {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** Absent: the path that the server was configured with. Given for `/.well-known/` alone. */
  readonly path?: string;
  /** The query of the request with its question mark, or nothing. */
  readonly query: string;
  /** Names and values alternating. */
  readonly headers: readonly string[];
  readonly body: Buffer | undefined;
  /** Who calls, for upstreams that keep callers apart. Opaque. */
  caller(): string;
}

/** Where a response goes. `data` returns false when the receiver wants the exchange paused. */
export interface ResponseSink {
  /** `headers` has names and values alternating. */
  head(status: number, headers: readonly string[]): void;
  data(chunk: Buffer): boolean;
  end(): void;
  fail(failure: UpstreamFailure): void;
}

/** A running exchange. All three may be called at any time, also after its end. */
export interface Exchange {
  abort(): void;
  pause(): void;
  resume(): void;
}

/** Why an exchange with the server failed, in words for the caller. */
export interface UpstreamFailure {
  readonly status: 502 | 504;
  readonly cause: string;
  /** True when no connection came about, so that the server cannot have seen the request. */
  readonly unseen?: true;
  /** What the client library said, for whoever explains it to people who run the server. Never for callers. */
  readonly error?: Error;
}

/** The caller of what is nobody's request. */
export const nobody = (): string => '';
