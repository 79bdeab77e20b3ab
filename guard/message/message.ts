import type { Document, Member } from './scan.ts';

/** A JSON object as `JSON.parse` gives it: read it through own properties alone. */
export type JsonObject = { readonly [key: string]: unknown };

/** A JSON-RPC id with the text it was sent as, which is what goes back in an answer of ours. */
export interface RequestId {
  readonly value: string | number;
  readonly text: string;
}

/** The parameters of one message, decoded member by member and only when asked for. */
export interface Params {
  readonly members: readonly Member[];
  /** The decoded value of one parameter, `undefined` when it is absent. */
  read(key: string): unknown;
  /** The text of one parameter as it was sent. */
  text(key: string): string | undefined;
}

export type Message =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  | { readonly kind: 'response'; readonly id: RequestId; readonly failed: boolean };

export type MessageResult = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly problem: string };

/**
 * Reads a scanned document as one JSON-RPC 2.0 message. Refused is what JSON-RPC leaves open and readers settle differently: an id of
 * null, a fraction as id, positional parameters, a method beside a result.
 */
export function message(document: Document): MessageResult {
  if (document.kind === 'array') return { ok: false, problem: 'JSON-RPC batches are not accepted' };
  if (document.kind !== 'object') return { ok: false, problem: 'the body is not a JSON-RPC message' };
  const { text, top } = document;
  if (read(text, top, 'jsonrpc') !== '2.0') return { ok: false, problem: 'jsonrpc must be "2.0"' };
  const idMember = find(top, 'id');
  const id = idMember === undefined ? undefined : requestId(text.slice(idMember.start, idMember.end));
  if (idMember !== undefined && id === undefined) return { ok: false, problem: 'id must be a string or an integer' };
  const answers = [find(top, 'result'), find(top, 'error')].filter((member) => member !== undefined);
  const methodMember = find(top, 'method');
  if (methodMember === undefined) {
    if (answers.length !== 1) return { ok: false, problem: 'the body is neither a request nor a response' };
    if (id === undefined) return { ok: false, problem: 'a response needs an id' };
    return { ok: true, message: { kind: 'response', id, failed: find(top, 'error') !== undefined } };
  }
  if (answers.length > 0) return { ok: false, problem: 'the body is both a request and a response' };
  const method = JSON.parse(text.slice(methodMember.start, methodMember.end)) as unknown;
  if (typeof method !== 'string' || method === '') return { ok: false, problem: 'method must be a string' };
  const paramsMember = find(top, 'params');
  if (paramsMember !== undefined && text[paramsMember.start] !== '{') return { ok: false, problem: 'params must be an object' };
  const params = paramsOf(text, document.params);
  return { ok: true, message: id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params } };
}

function paramsOf(text: string, members: readonly Member[]): Params {
  const known = new Map<string, unknown>();
  return {
    members,
    // Era, trace and audit all look at `_meta`; nobody changes what is read.
    read: (key) => {
      if (!known.has(key)) known.set(key, read(text, members, key));
      return known.get(key);
    },
    text: (key) => {
      const member = find(members, key);
      return member === undefined ? undefined : text.slice(member.start, member.end);
    },
  };
}

function find(members: readonly Member[], key: string): Member | undefined {
  for (const member of members) if (member.key === key) return member;
  return undefined;
}

function read(text: string, members: readonly Member[], key: string): unknown {
  const member = find(members, key);
  return member === undefined ? undefined : (JSON.parse(text.slice(member.start, member.end)) as unknown);
}

function requestId(text: string): RequestId | undefined {
  const value = JSON.parse(text) as unknown;
  if (typeof value === 'string') return { value, text };
  // An integer beyond 2^53 would be answered under another id than the one it was sent with.
  return typeof value === 'number' && Number.isSafeInteger(value) && /^-?\d+$/.test(text) ? { value, text } : undefined;
}

/** Narrows to a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property of a decoded object: never one of `Object.prototype`. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
