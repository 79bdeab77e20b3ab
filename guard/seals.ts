import type { Call } from './call.ts';
import type { JsonObject } from './message/message.ts';
import { isObject, own } from './message/message.ts';
import type { Edit, Span } from './message/spans.ts';
import { elementSpans, memberSpans, spanAt } from './message/spans.ts';
import type { RefusalCode } from './refusalcode.ts';
import type { Round } from './rounds.ts';
import { openFor } from './session/seal.ts';

/**
 * Values that a server mints and takes back from anybody: task ids, `requestState`, ids of events. Where callers can be told apart, the
 * guard gives them out sealed to their caller and opens them on the way back, so that nobody fetches another one's result.
 */

/** Whether callers are told apart at all; where they are not, a seal would change bytes and bind nothing. */
function binding(call: Call): boolean {
  return call.enforcement?.bundle.authentication.type === 'Guard';
}

function ownerOf(call: Call): string {
  return call.caller === undefined ? '' : call.context.sessions.owner(call.caller);
}

const TASK_METHODS = new Set(['tasks/get', 'tasks/result', 'tasks/update', 'tasks/cancel']);
const RELATED_TASK = 'io.modelcontextprotocol/related-task';
/** Where messages of a server name a task. */
const TASK_ID_PLACES = [
  ['result', 'task', 'taskId'],
  ['result', 'taskId'],
  ['params', 'taskId'],
  ['result', '_meta', RELATED_TASK, 'taskId'],
  ['params', '_meta', RELATED_TASK, 'taskId'],
] as const;

/** What a task is known by: who started it, with which tool. */
export interface TaskRecord {
  readonly owner: string;
  readonly tool: string;
}

/** Tasks that this guard saw come into being, for lists of tasks and for notifications, which do not say whose they are. */
export class Tasks {
  readonly #records = new Map<string, TaskRecord>();

  remember(taskId: string, record: TaskRecord): void {
    for (const [oldest] of this.#records) {
      if (this.#records.size < MAXIMUM_TASKS) break;
      this.#records.delete(oldest);
    }
    this.#records.set(taskId, record);
  }

  of(taskId: string): TaskRecord | undefined {
    return this.#records.get(taskId);
  }
}

const MAXIMUM_TASKS = 10_000;

export interface SealProblem {
  readonly code: RefusalCode;
  readonly message: string;
}

/** Opens what the request brings back; the server gets what it minted. A wrong seal is a problem in the words for what does not exist. */
export function openSeals(call: Call): SealProblem | undefined {
  if (!binding(call)) return undefined;
  const eventId = call.header('last-event-id');
  if (eventId !== undefined && call.era === 'legacy') {
    const opened = openFor(call.context.sealer, 'eventId', eventId, ownerOf(call))?.[0];
    // A stream that cannot be resumed begins anew, as after a server's restart.
    call.headers.set('last-event-id', opened ?? '');
  }
  if (call.message?.kind !== 'request') return undefined;
  const { method } = call.message;
  if (TASK_METHODS.has(method)) return openTask(call, method);
  if (call.message.params.text('requestState') === undefined) return undefined;
  if (call.requestState === undefined) return { code: 'REQUEST_STATE', message: 'Invalid params: requestState is not valid' };
  replaceParam(call, 'requestState', call.requestState.value);
  return undefined;
}

function openTask(call: Call, method: string): SealProblem | undefined {
  if (call.message?.kind !== 'request') return undefined;
  const notFound: SealProblem = { code: 'TASK', message: 'Task not found' };
  const sealed = call.message.params.read('taskId');
  const [tool, taskId] = typeof sealed === 'string' ? (openFor(call.context.sealer, 'task', sealed, ownerOf(call)) ?? []) : [];
  if (tool === undefined || taskId === undefined || call.caller === undefined) return notFound;
  const object = call.context.objects.tool(call.caller, tool);
  // A tool that the caller may no longer use does not give its results either.
  if (call.enforcement?.engine.visible(call.caller, object) !== true) return notFound;
  call.context.tasks.remember(taskId, { owner: ownerOf(call), tool });
  replaceParam(call, 'taskId', taskId);
  if (call.era === 'modern' && method !== 'tasks/result') call.headers.set('mcp-name', encodeHeader(taskId));
  return undefined;
}

/** A request state as the server minted it, and the round that sends it back. */
export interface RequestState {
  readonly value: string;
  readonly round: Round;
}

/** The request state of a request that was given to this caller for the same method and object; `undefined` for none, and for any other. */
export function openState(call: Call): RequestState | undefined {
  if (!binding(call) || call.message?.kind !== 'request') return undefined;
  const { method, params } = call.message;
  const sealed = params.read('requestState');
  const opened = typeof sealed === 'string' ? openFor(call.context.sealer, 'requestState', sealed, ownerOf(call)) : undefined;
  const [forMethod, name, value, paid, number, began] = opened ?? [];
  if (value === undefined || paid === undefined || forMethod !== method || name !== stateName(call)) return undefined;
  return { value, round: { call: paid, number: Number(number), began: Number(began) } };
}

/** What a request state belongs to besides its method. */
function stateName(call: Call): string {
  if (call.message?.kind !== 'request') return '';
  const { params } = call.message;
  const name = params.read('name') ?? params.read('uri');
  return typeof name === 'string' ? name : '';
}

function replaceParam(call: Call, key: string, value: string): void {
  if (call.message?.kind !== 'request') return;
  const member = call.message.params.members.find((candidate) => candidate.key === key);
  if (member !== undefined) call.edits.push({ start: member.start, end: member.end, text: JSON.stringify(value) });
}

function encodeHeader(value: string): string {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?')
    ? value
    : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** The id of an event as its caller may know it; `undefined` when it is given out as it is. */
export function eventIdSealer(call: Call): ((id: string) => string) | undefined {
  if (!binding(call)) return undefined;
  const owner = ownerOf(call);
  return (id) => call.context.sealer.seal('eventId', [owner, id]);
}

/** The changes that seal what a message from the server gives out. Throws `AmbiguousKeyError`. */
export function sealingEdits(call: Call, message: JsonObject, text: string): readonly Edit[] {
  if (!binding(call)) return [];
  const edits: Edit[] = [];
  const state = spanAt(text, ['result', 'requestState']);
  if (state !== undefined && text[state.start] === '"') {
    const { call: paid, number, began } = call.context.rounds.next(call.requestId, call.freeRound);
    const fields = [ownerOf(call), call.method, stateName(call), stringAt(text, state), paid, String(number), String(began)];
    edits.push({ ...state, text: JSON.stringify(call.context.sealer.seal('requestState', fields)) });
  }
  if (text.includes('task')) edits.push(...taskEdits(call, message, text));
  return edits;
}

function taskEdits(call: Call, message: JsonObject, text: string): Edit[] {
  const edits: Edit[] = [];
  const created = [spanAt(text, ['result', 'task', 'taskId']), createdModern(message) ? spanAt(text, ['result', 'taskId']) : undefined];
  if (call.method === 'tools/call') {
    for (const span of created) {
      if (span === undefined || text[span.start] !== '"') continue;
      call.context.tasks.remember(stringAt(text, span), { owner: ownerOf(call), tool: call.object?.name ?? '' });
    }
  }
  for (const path of TASK_ID_PLACES) {
    const span = spanAt(text, path);
    if (span !== undefined && text[span.start] === '"') edits.push({ ...span, text: sealedTask(call, stringAt(text, span)) });
  }
  const list = spanAt(text, ['result', 'tasks']);
  if (call.method === 'tasks/list' && list !== undefined && text[list.start] === '[') edits.push(listEdit(call, text, list));
  return edits;
}

/** The tasks of this caller alone, each with its sealed id. */
function listEdit(call: Call, text: string, list: Span): Edit {
  const kept: string[] = [];
  for (const element of elementSpans(text, list.start)) {
    if (text[element.start] !== '{') continue;
    const id = memberSpans(text, element.start).get('taskId');
    if (id === undefined || text[id.start] !== '"') continue;
    const taskId = stringAt(text, id);
    if (call.context.tasks.of(taskId)?.owner !== ownerOf(call)) continue;
    kept.push(`${text.slice(element.start, id.start)}${sealedTask(call, taskId)}${text.slice(id.end, element.end)}`);
  }
  return { ...list, text: `[${kept.join(',')}]` };
}

function sealedTask(call: Call, taskId: string): string {
  const record = call.context.tasks.of(taskId);
  // A task that is not known to be this caller's is sealed to nobody.
  const owner = record?.owner === ownerOf(call) ? record.owner : '';
  return JSON.stringify(call.context.sealer.seal('task', [owner, record?.tool ?? '', taskId]));
}

function createdModern(message: JsonObject): boolean {
  const result = own(message, 'result');
  return isObject(result) && own(result, 'resultType') === 'task';
}

function stringAt(text: string, span: Span): string {
  return String(JSON.parse(text.slice(span.start, span.end)));
}
