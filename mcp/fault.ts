import type { JsonRpcError } from './jsonrpc.ts';

/**
 * Why an exchange with a server failed; the reasons of the condition `Verified`.
 *
 * - `ConnectionRefused`: no connection came about (nothing listens, no such name, no route).
 * - `Timeout`: it took longer than allowed, whatever was reached by then.
 * - `AuthenticationRequired`: HTTP 401 or 403 as MCP asks. The server is reachable and speaks MCP, but not with us.
 * - `HandshakeFailed`: it speaks JSON-RPC and refuses: an MCP error.
 * - `ProtocolError`: what it sent is not MCP at all.
 */
export type FaultKind = 'ConnectionRefused' | 'Timeout' | 'AuthenticationRequired' | 'HandshakeFailed' | 'ProtocolError';

export interface FaultDetails {
  /** HTTP status, where one was received. */
  readonly status?: number;
  /** Value of `WWW-Authenticate`, bounded and printable. */
  readonly challenge?: string;
  /** The connection closed before a byte of an answer came. */
  readonly hungUp?: boolean;
}

/** The exchange as a whole failed. `message` is one or two sentences for a stranger: printable, bounded, free of our credentials. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;
  readonly details: FaultDetails;
  constructor(kind: FaultKind, message: string, details: FaultDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.details = details;
  }
}

/** The server answered one request with a JSON-RPC error. The connection stays usable. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  readonly error: JsonRpcError;
  constructor(status: number, error: JsonRpcError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}
