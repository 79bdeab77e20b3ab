/** A way to one server process (or, with HTTP+SSE, to one session of a server) that carries JSON texts in both directions, one by one. */
export interface Link {
  /** Whether the connection came about. */
  opened(): Promise<boolean>;
  send(text: string): void;
  close(): void;
}

export interface LinkHandlers {
  /** One message of the server. */
  readonly message: (text: string) => void;
  /** The server has ended or could not be reached; called once. `refusal`: its own HTTP answer, where it gave one. */
  readonly closed: (reason: string, refusal?: LinkRefusal) => void;
}

/** An HTTP answer that refuses the connection, such as 401. `headers` has names and values alternating. */
export interface LinkRefusal {
  readonly status: number;
  readonly headers: readonly string[];
}

/** Opens a link. `headers`: fields of the caller's first request, for servers that are reached over HTTP. */
export type OpenLink = (handlers: LinkHandlers, headers: readonly string[]) => Link;
