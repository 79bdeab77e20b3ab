import type { Connection, Exchange, Target } from './connection.ts';
import { handshake, refusing, type ServerFacts } from './discovery.ts';
import { errorCodes } from './eras.ts';
import { printable, withoutSecrets } from './excerpt.ts';
import { withConnection } from './exchange.ts';
import { Fault, RefusedError } from './fault.ts';
import { everyPage } from './inventory.ts';
import { isObject, type Json, type JsonObject } from './jsonrpc.ts';
import { definitionOf, paramHeaders } from './param-header.ts';
import { unverified, type AuthenticationRequired, type ProbeOptions, type Unverified } from './probe.ts';

/** The tool ran. `result` is the server's own, as it came: not safe to print. */
export interface Answered {
  readonly outcome: 'Answered';
  /** The tool says that it failed; `content` tells why. */
  readonly isError: boolean;
  readonly result: JsonObject;
  readonly server: ServerFacts;
}

/** The server refused the call with a JSON-RPC error: unknown tool, bad arguments, a policy. */
export interface Refused {
  readonly outcome: 'Refused';
  readonly code: number;
  /** Printable. */
  readonly message: string;
  readonly data: Json | undefined;
  readonly server: ServerFacts;
}

/** The tool wants to ask somebody or something first (MRTR, 2026-07-28), which this client does not offer. */
export interface InputRequired {
  readonly outcome: 'InputRequired';
  /** Methods asked for, `elicitation/create` for example. */
  readonly requests: readonly string[];
  readonly message: string;
  readonly server: ServerFacts;
}

export type CallResult = Answered | Refused | InputRequired | AuthenticationRequired | Unverified;

/** Arguments, or how to make them from the tool's definition (`undefined`: the server lists no such tool), which costs a listing. */
export type ToolArguments = JsonObject | ((definition: JsonObject | undefined) => JsonObject);

/**
 * Calls one tool once, in the era of the server, and closes everything. Never repeats a call that may have run. Rejects only with the reason of
 * `options.signal`, or with a programming error. Aborting ends the session (legacy) or the stream (modern), which cancels the call.
 */
export async function call(target: Target, tool: string, args: ToolArguments, options: ProbeOptions = {}): Promise<CallResult> {
  let server: ServerFacts | undefined;
  try {
    return await withConnection(target, options, async (connection, exchange) => {
      server = await handshake(connection, exchange, options.era);
      return judge(await answer(connection, exchange, tool, args), server, exchange.secrets);
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return unverified(error, server);
  }
}

async function answer(connection: Connection, exchange: Exchange, tool: string, args: ToolArguments): Promise<JsonObject | RefusedError> {
  const definition = async () => definitionOf(await refusing('tools/list', everyPage(connection, 'tools/list', exchange.limits)), tool);
  const known = typeof args === 'function' ? await definition() : undefined;
  const values = typeof args === 'function' ? args(known) : args;
  // A progress token makes long calls talk, so that nobody in between takes them for dead.
  const params = { name: tool, arguments: values, _meta: { progressToken: 1 } };
  const send = (headers: Readonly<Record<string, string>>) => attempt(connection.request('tools/call', params, { headers }));
  const modern = connection.dialect?.era === 'Modern';
  const first = await send(modern && known !== undefined ? paramHeaders(known['inputSchema'], values) : {});
  const mismatch = first instanceof RefusedError && first.error.code === errorCodes.headerMismatch;
  if (!mismatch || !modern || known !== undefined) return first;
  // Refused before it ran, because the tool wants arguments repeated as headers: only its schema says which.
  const headers = paramHeaders((await definition())?.['inputSchema'], values);
  return Object.keys(headers).length === 0 ? first : send(headers);
}

async function attempt(request: Promise<JsonObject>): Promise<JsonObject | RefusedError> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
}

function judge(result: JsonObject | RefusedError, server: ServerFacts, secrets: readonly string[]): Answered | Refused | InputRequired {
  if (result instanceof RefusedError) {
    const { code, message, data } = result.error;
    return { outcome: 'Refused', code, message: printable(withoutSecrets(message, secrets), 500), data, server };
  }
  if (result['resultType'] === 'input_required') {
    const asked = isObject(result['inputRequests']) ? Object.values(result['inputRequests']) : [];
    const requests = asked.flatMap((entry) =>
      isObject(entry) && typeof entry['method'] === 'string' ? [printable(entry['method'], 64)] : [],
    );
    return {
      outcome: 'InputRequired',
      requests,
      message: `the tool wants an answer to ${requests.join(', ')} first, which this client does not offer`,
      server,
    };
  }
  return { outcome: 'Answered', isError: result['isError'] === true, result, server };
}
