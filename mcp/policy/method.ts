import type { Methods } from './bundle.ts';

export type ObjectType = 'tool' | 'prompt' | 'resource' | 'resourceTemplate';

/** A switch under `spec.methods` that a client's method hangs on. */
export type Gate = 'completion' | 'logging' | 'subscriptions' | 'tasks';

export type MethodRule =
  /** The protocol itself: always allowed, also where everything else is refused. */
  | { readonly kind: 'base' }
  /** Allowed; its items are filtered. */
  | { readonly kind: 'list' }
  /** Decided by its object. */
  | { readonly kind: 'object'; readonly types: readonly ObjectType[]; readonly gate?: Gate; readonly arguments: boolean }
  | { readonly kind: 'gated'; readonly gate: Gate };

const base: MethodRule = { kind: 'base' };
const list: MethodRule = { kind: 'list' };
const tasks: MethodRule = { kind: 'gated', gate: 'tasks' };

/** What clients may send, in both eras. Anything else is `methods.unknown`. */
const CLIENT_METHODS: ReadonlyMap<string, MethodRule> = new Map<string, MethodRule>([
  ['initialize', base],
  ['ping', base],
  ['server/discover', base],
  ['notifications/initialized', base],
  ['notifications/cancelled', base],
  ['notifications/progress', base],
  ['notifications/roots/list_changed', base],
  ['notifications/tasks/status', base],
  ['tools/list', list],
  ['prompts/list', list],
  ['resources/list', list],
  ['resources/templates/list', list],
  ['tools/call', { kind: 'object', types: ['tool'], arguments: true }],
  ['prompts/get', { kind: 'object', types: ['prompt'], arguments: true }],
  ['resources/read', { kind: 'object', types: ['resource'], arguments: true }],
  ['resources/subscribe', { kind: 'object', types: ['resource'], gate: 'subscriptions', arguments: true }],
  ['resources/unsubscribe', { kind: 'object', types: ['resource'], arguments: true }],
  // A completion names no arguments yet: what could be used may be completed.
  ['completion/complete', { kind: 'object', types: ['prompt', 'resource', 'resourceTemplate'], gate: 'completion', arguments: false }],
  ['logging/setLevel', { kind: 'gated', gate: 'logging' }],
  ['subscriptions/listen', { kind: 'gated', gate: 'subscriptions' }],
  ['tasks/list', tasks],
  ['tasks/get', tasks],
  ['tasks/result', tasks],
  ['tasks/update', tasks],
  ['tasks/cancel', tasks],
]);

export const clientMethod = (method: string): MethodRule | undefined => CLIENT_METHODS.get(method);

const SERVER_REQUESTS: ReadonlyMap<string, keyof Methods['serverRequests']> = new Map([
  ['elicitation/create', 'elicitation'],
  ['sampling/createMessage', 'sampling'],
  ['roots/list', 'roots'],
] as const);

/** Whether the server may ask the client for this, in a request of its own or in `inputRequests`. */
export function serverRequestAllowed(methods: Methods, method: string): boolean {
  if (method === 'ping') return true;
  // A server that runs a task for the client may ask for its state (2025-11-25).
  if (method.startsWith('tasks/')) return methods.tasks !== 'Deny';
  const name = SERVER_REQUESTS.get(method);
  return (name === undefined ? methods.unknown : methods.serverRequests[name]) === 'Allow';
}

export const gateOpen = (methods: Methods, gate: Gate): boolean => methods[gate] !== 'Deny';
