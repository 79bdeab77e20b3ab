import type { Denial } from './answers.ts';
import { rpcError, toolError } from './answers.ts';
import type { Call } from './call.ts';
import { conversationOf } from './chain.ts';
import type { JsonObject } from './message/message.ts';
import { isObject, own } from './message/message.ts';
import { AmbiguousKeyError, edited, memberSpans, spanAt } from './message/spans.ts';
import type { List } from './relay/listing.ts';
import { cacheEdits, filterList, listByShape, LISTS } from './relay/listing.ts';
import type { Verdict } from './relay/response.ts';
import { DROP, errorType, PASS } from './relay/response.ts';
import { sealingEdits } from './seals.ts';
import { answerServer } from './serverrequest.ts';

/** Decides on one message that the server sends to a caller. Whatever cannot be read for certain goes no further. */
export function judge(call: Call, message: JsonObject | undefined, text: string): Verdict {
  if (message === undefined) return unreadable(call);
  try {
    if (own(message, 'method') !== undefined) return asked(call, message, text);
    return answered(call, message, text);
  } catch (error) {
    if (error instanceof AmbiguousKeyError) return unreadable(call);
    throw error;
  }
}

/** Not one JSON object: a batch, or no JSON. Without a policy the caller gets it as it is. */
function unreadable(call: Call): Verdict {
  if (call.enforcement?.transparent === true) return PASS;
  call.observe('unreadable');
  if (call.id === undefined) return DROP;
  return replaced(rpcError(200, call.id, 502, 'The server gave an answer that cannot be read for certain').body);
}

function replaced(text: string | undefined): Verdict {
  return text === undefined ? DROP : { action: 'replace', text };
}

/** A request or a notification of the server. */
function asked(call: Call, message: JsonObject, text: string): Verdict {
  const method = String(own(message, 'method'));
  const id = own(message, 'id');
  if (id === undefined) return notified(call, method, message, text);
  if (typeof id !== 'string' && typeof id !== 'number') return DROP;
  const decision = call.enforcement?.engine.serverRequest(method);
  if (decision?.effect === 'deny' && call.enforcement?.transparent !== true) {
    answerServer(call, id, decision);
    return DROP;
  }
  call.context.conversations.asked(conversationOf(call), id, method);
  return withEdits(text, sealingEdits(call, message, text));
}

const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;

function notified(call: Call, method: string, message: JsonObject, text: string): Verdict {
  if (LIST_CHANGED.test(method)) call.context.inventory.refresh();
  if (method === 'notifications/resources/updated') {
    const params = own(message, 'params');
    const uri = isObject(params) ? own(params, 'uri') : undefined;
    if (typeof uri === 'string' && !maySee(call, uri)) return DROP;
  }
  return withEdits(text, sealingEdits(call, message, text));
}

function maySee(call: Call, uri: string): boolean {
  const { caller, enforcement, context } = call;
  if (caller === undefined || enforcement === undefined) return false;
  const object = context.objects.resource(caller, uri);
  // Servers report changes of things below a subscribed resource, which no list names.
  return enforcement.transparent || enforcement.engine.visible(caller, { ...object, known: true } as typeof object);
}

/** The answer to a request: of this very request, or on a resumed stream of an earlier one. */
function answered(call: Call, message: JsonObject, text: string): Verdict {
  const { enforcement, caller, context } = call;
  const ours = call.id === undefined || own(message, 'id') === call.id.value;
  if (ours) {
    call.answered();
    call.observe(errorType(message));
  }
  if (enforcement === undefined || caller === undefined) return DROP;
  const forbidden = enforcement.transparent ? undefined : forbiddenInput(call, message);
  if (forbidden !== undefined) return forbidden;
  let current = text;
  const list = listOf(call, message);
  if (!enforcement.transparent) {
    if (list !== undefined) {
      const cached = call.id === undefined ? undefined : context.lists.find(list.member, caller, enforcement, call.id.text, text);
      const filtered = cached ?? filterList({ message, text }, list, caller, enforcement, context.objects);
      if (cached === undefined) context.lists.remember(list.member, caller, enforcement, text, filtered);
      context.metrics.list(list.member, filtered.visible, filtered.hidden);
      if (filtered.stale) context.inventory.ask();
      current = filtered.text;
    } else if (call.method === 'resources/read') {
      const result = spanAt(text, ['result']);
      if (result !== undefined && text[result.start] === '{') current = edited(text, cacheEdits(text, memberSpans(text, result.start)));
    }
  }
  return withEdits(current, sealingEdits(call, message, current), text);
}

function withEdits(current: string, edits: ReturnType<typeof sealingEdits>, original: string = current): Verdict {
  const text = edits.length === 0 ? current : edited(current, edits);
  return text === original ? PASS : { action: 'replace', text };
}

function listOf(call: Call, message: JsonObject): List | undefined {
  // An answer on a GET stream belongs to a request that we do not have here.
  if (call.message === undefined) return listByShape(message);
  return LISTS.find((list) => list.method === call.method);
}

/** A multi-round-trip result that asks for something that the server may not ask for. Source: SEP-2322. */
function forbiddenInput(call: Call, message: JsonObject): Verdict | undefined {
  const result = own(message, 'result');
  if (!isObject(result) || own(result, 'resultType') !== 'input_required' || call.id === undefined) return undefined;
  const inputs = own(result, 'inputRequests');
  if (inputs === undefined) return undefined;
  for (const input of isObject(inputs) || Array.isArray(inputs) ? Object.values(inputs) : [undefined]) {
    const method = isObject(input) ? own(input, 'method') : undefined;
    const decision = call.enforcement?.engine.serverRequest(String(method));
    if (decision?.effect !== 'deny') continue;
    call.decision = decision;
    call.observe(decision.code);
    const { code, message: text, policy, rule } = decision;
    const denial: Denial = { code, message: text, ...(policy === undefined ? {} : { policy }), ...(rule === undefined ? {} : { rule }) };
    if (call.method !== 'tools/call') return replaced(rpcError(200, call.id, 403, text, { ...denial, requestId: call.requestId }).body);
    const value = JSON.stringify(toolError(call.era, denial, call.requestId));
    return { action: 'replace', text: `{"jsonrpc":"2.0","id":${call.id.text},"result":${value}}` };
  }
  return undefined;
}
