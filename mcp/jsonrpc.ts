/** Any JSON value as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A request id. Its type is part of it: `1` and `"1"` are different ids. */
export type Id = string | number;

export interface JsonRpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

export type Message =
  | { readonly kind: 'Request'; readonly id: Id; readonly method: string; readonly params?: Json }
  | { readonly kind: 'Notification'; readonly method: string; readonly params?: Json }
  | { readonly kind: 'Result'; readonly id: Id; readonly result: JsonObject }
  /** Without id where the peer could not read ours. */
  | { readonly kind: 'Error'; readonly id?: Id; readonly error: JsonRpcError };

/** The text is not JSON, not JSON-RPC 2.0, or nested too deeply. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses JSON nested at most `depth` levels, checked before anything is built. Throws `MessageError`. */
export function parseJson(text: string, depth: number): Json {
  if (deeperThan(text, depth)) throw new MessageError(`JSON is nested more than ${depth} levels deep`);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new MessageError('it is not JSON', { cause: error });
  }
}

function deeperThan(text: string, depth: number): boolean {
  let level = 0;
  let inString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++level > depth) return true;
    } else if (code === 0x7d || code === 0x5d) level--;
  }
  return false;
}

/** One message, or several where the peer still batches (revision 2025-03-26). Throws `MessageError`. */
export function parseMessages(text: string, depth: number): readonly Message[] {
  const value = parseJson(text, depth);
  if (!Array.isArray(value)) return [message(value)];
  if (value.length === 0) throw new MessageError('it is an empty batch');
  return value.map(message);
}

function message(value: Json): Message {
  if (!isObject(value)) throw new MessageError('it is JSON but no object');
  if (value['jsonrpc'] !== '2.0') throw new MessageError('it is JSON but has no "jsonrpc": "2.0"');
  const { id, method, params, result, error } = value;
  if (typeof method === 'string') {
    const optional = params === undefined ? {} : { params };
    if (id === undefined) return { kind: 'Notification', method, ...optional };
    if (isId(id)) return { kind: 'Request', id, method, ...optional };
    throw new MessageError('its request id is neither string nor number');
  }
  if (error !== undefined) {
    if (!isObject(error) || typeof error['code'] !== 'number') throw new MessageError('its error has no code');
    const text = typeof error['message'] === 'string' ? error['message'] : '';
    const data = error['data'] === undefined ? {} : { data: error['data'] };
    return { kind: 'Error', ...(isId(id) ? { id } : {}), error: { code: error['code'], message: text, ...data } };
  }
  if (result === undefined) throw new MessageError('it has neither method nor result nor error');
  if (!isId(id)) throw new MessageError('its result has no id');
  if (!isObject(result)) throw new MessageError('its result is no object');
  return { kind: 'Result', id, result };
}

function isId(value: Json | undefined): value is Id {
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value));
}

/** The text of one message as it goes over the wire, without line breaks. */
export function serialize(content: Message): string {
  const { kind: _, ...members } = content;
  return JSON.stringify({ jsonrpc: '2.0', ...members });
}
