import type { PolicyObject } from '../mcp/policy/engine.ts';
import type { Call } from './call.ts';
import type { Message } from './message/message.ts';
import { isObject, own } from './message/message.ts';

type Spoken = Exclude<Message, { kind: 'response' }>;

/** What a message is about, as policy sees it; `undefined` for methods without object, `malformed` when it is not named by a string. */
export function objectOf(call: Call, message: Spoken): PolicyObject | undefined | 'malformed' {
  const { caller, context } = call;
  if (caller === undefined) return undefined;
  const { objects } = context;
  switch (message.method) {
    case 'tools/call':
      return named(message, 'name', (name) => objects.tool(caller, name));
    case 'prompts/get':
      return named(message, 'name', (name) => objects.prompt(caller, name));
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return named(message, 'uri', (uri) => objects.resource(caller, uri));
    case 'completion/complete':
      return completed(call, message);
    default:
      return undefined;
  }
}

function named(message: Spoken, key: string, known: (name: string) => PolicyObject): PolicyObject | 'malformed' {
  const name = message.params.read(key);
  return typeof name === 'string' ? known(name) : 'malformed';
}

function completed(call: Call, message: Spoken): PolicyObject | undefined | 'malformed' {
  const { caller, context } = call;
  const ref = message.params.read('ref');
  if (caller === undefined || !isObject(ref)) return 'malformed';
  const type = own(ref, 'type');
  const name = own(ref, type === 'ref/prompt' ? 'name' : 'uri');
  if (typeof name !== 'string' || (type !== 'ref/prompt' && type !== 'ref/resource')) return 'malformed';
  return type === 'ref/prompt' ? context.objects.prompt(caller, name) : context.objects.resourceOrTemplate(caller, name);
}

/** The resources that a `subscriptions/listen` names. */
export function subscriptions(message: Spoken): readonly string[] {
  const notifications = message.params.read('notifications');
  const uris = isObject(notifications) ? own(notifications, 'resourceSubscriptions') : undefined;
  return Array.isArray(uris) ? uris.map(String) : [];
}
