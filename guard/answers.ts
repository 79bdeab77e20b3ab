import type { Era } from './message/era.ts';
import type { RequestId } from './message/message.ts';

/** An answer that the guard gives itself. */
export interface Answer {
  readonly status: number;
  readonly body: string | undefined;
  /** Fields beside the body's, in lower case. */
  readonly headers?: ReadonlyMap<string, string>;
}

/** Why a visible object was refused: told to the caller in `_meta["mcp-fleet.dev/denied"]`, and to operators in audit and metrics. */
export interface Denial {
  readonly code: string;
  /** One factual sentence that says whether a retry can help. */
  readonly message: string;
  /** `<namespace>/<name>` of the policy. */
  readonly policy?: string;
  readonly rule?: string;
  readonly retryAfterMs?: number;
}

const JSON_TYPE = ['content-type', 'application/json'] as const;

/** The codes of JSON-RPC 2.0 and of MCP that the guard answers with. */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  headerMismatch: -32020,
  sessionNotFound: -32001,
} as const;

/** An HTTP answer with a JSON-RPC error; without an id where none could be read: `null` is no id in MCP. */
export function rpcError(status: number, id: RequestId | undefined, code: number, message: string, data?: unknown): Answer {
  const error = { code, message, ...(data === undefined ? {} : { data }) };
  return json(status, `{"jsonrpc":"2.0"${id === undefined ? '' : `,"id":${id.text}`},"error":${JSON.stringify(error)}}`);
}

/** Merges further header fields into an answer. */
export function withHeaders(answer: Answer, headers: Readonly<Record<string, string>>): Answer {
  return { ...answer, headers: new Map([...(answer.headers ?? []), ...Object.entries(headers)]) };
}

/** The guard cannot take the request now; the caller may try again after `seconds`. */
export function unavailable(id: RequestId | undefined, cause: string, seconds: number): Answer {
  return withHeaders(rpcError(503, id, 503, cause), { 'retry-after': String(Math.max(1, Math.ceil(seconds))) });
}

/** The same for an unknown, a foreign and a forged session. */
export function sessionNotFound(id: RequestId | undefined): Answer {
  return rpcError(404, id, RPC.sessionNotFound, 'Session not found');
}

export type ObjectType = 'tool' | 'prompt' | 'resource';

/** What a caller hears of an object that it can never use, and of one that does not exist: the same bytes. */
export function unknownObject(id: RequestId, type: ObjectType, name: string): Answer {
  const words = { tool: 'Unknown tool', prompt: 'Unknown prompt', resource: 'Resource not found' }[type];
  // SEP-2164 asks for the URI beside the message.
  return rpcError(200, id, RPC.invalidParams, `${words}: ${name}`, type === 'resource' ? { uri: name } : undefined);
}

/** What a caller hears of a method that is refused to it or that nobody knows. */
export function methodRefused(id: RequestId | undefined, era: Era, method: string): Answer {
  return rpcError(era === 'modern' ? 404 : 200, id, RPC.methodNotFound, `Method not found: ${method}`);
}

/**
 * The refusal of a call that the caller may see: a result, so that it reaches the model, where the method has tool results; otherwise
 * a JSON-RPC error with the same data.
 */
export function refused(id: RequestId, era: Era, asToolResult: boolean, denial: Denial, requestId: string): Answer {
  const denied = { ...denial, requestId };
  if (!asToolResult) return rpcError(200, id, denial.retryAfterMs === undefined ? 403 : 429, denial.message, denied);
  return json(200, `{"jsonrpc":"2.0","id":${id.text},"result":${JSON.stringify(toolError(era, denial, requestId))}}`);
}

/** The result that stands for a refused tool call. */
export function toolError(era: Era, denial: Denial, requestId: string): object {
  return {
    content: [{ type: 'text', text: denial.message }],
    isError: true,
    ...(era === 'modern' ? { resultType: 'complete' } : {}),
    _meta: { 'mcp-fleet.dev/denied': { ...denial, requestId } },
  };
}

/** A successful result of our own. */
export function result(id: RequestId, value: object): Answer {
  return json(200, `{"jsonrpc":"2.0","id":${id.text},"result":${JSON.stringify(value)}}`);
}

/** An answer without a body. */
export function empty(status: number, headers?: ReadonlyMap<string, string>): Answer {
  return { status, body: undefined, ...(headers === undefined ? {} : { headers }) };
}

/** An answer with a JSON body. */
export function json(status: number, body: string): Answer {
  return { status, body, headers: new Map([JSON_TYPE]) };
}
