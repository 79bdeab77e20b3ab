/** What a peer may cost us. A server is assumed hostile until it has behaved within all of these. */
export interface Limits {
  /** The whole exchange, handshake and every page included, in milliseconds. Default 5000: `verification.timeout` of an MCPServer. */
  readonly timeoutMs: number;
  /** One HTTP body or one server-sent event, in bytes. Default 4 MiB: 900 tools with large schemas measure about 2 MiB. */
  readonly messageBytes: number;
  /** Everything read over one connection, in bytes. Default 32 MiB. */
  readonly totalBytes: number;
  /** Pages of one list. Default 500. */
  readonly pages: number;
  /** Entries of one list. Default 10,000. */
  readonly items: number;
  /** Nesting of JSON. Default 64: real tool schemas stay below 20. */
  readonly depth: number;
  /** Notifications and server requests before the answer to one request. Default 1000. */
  readonly messages: number;
}

export const defaultLimits: Limits = {
  timeoutMs: 5_000,
  messageBytes: 4 * 1024 * 1024,
  totalBytes: 32 * 1024 * 1024,
  pages: 500,
  items: 10_000,
  depth: 64,
  messages: 1_000,
};
