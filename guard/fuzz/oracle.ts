import { clientMethod } from '../../mcp/policy/method.ts';
import { field } from '../headers.ts';
import { firstKeyReader, foldingReader, nulReader } from '../testing/readers.ts';
import type { Seen } from '../testing/scripted.ts';
import type { Input } from './requests.ts';
import { MARK } from './requests.ts';

/** What a server acts upon. */
interface Subject {
  readonly method?: unknown;
  readonly id?: unknown;
  readonly name?: unknown;
  readonly uri?: unknown;
}

/** Fields that a server behind a guard without authentication never gets. */
const FORBIDDEN = /^(?:authorization|x-api-key|cookie|proxy-authorization|origin|upgrade|te|expect|content-encoding|x-mcp-fleet-.*)$/i;

/** The guard answers a question of the server that no caller may hear. */
const REFUSAL = /^\{"jsonrpc":"2\.0","id":[^{]{1,200},"error":\{"code":403,"message":"Refused by policy: the server may not ask /;

/**
 * What is wrong with a request that reached the server, judged without any of the guard's own reading: policy allows the tool `list`, the
 * prompt `p`, the resource `file:///a`, and the methods that the specification knows.
 */
export function wrongRequest(seen: Seen, inputs: ReadonlyMap<number, Input>): string | undefined {
  return wrongHead(seen) ?? wrongBody(seen, inputs);
}

function wrongHead({ method, url, rawHeaders }: Seen): string | undefined {
  if (!['POST', 'GET', 'DELETE'].includes(method)) return `the HTTP method ${method}`;
  if (url.split('?', 1)[0] !== '/mcp') return `the path ${url}`;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (FORBIDDEN.test(rawHeaders[at] ?? '')) return `the field ${rawHeaders[at]}`;
  }
  const session = field(rawHeaders, 'mcp-session-id');
  if (session?.startsWith('forged') === true) return `the session ${session}`;
  return undefined;
}

function wrongBody({ method, rawHeaders, body }: Seen, inputs: ReadonlyMap<number, Input>): string | undefined {
  if (method !== 'POST') return body.length === 0 ? undefined : `a ${method} with a body`;
  const mark = field(rawHeaders, MARK);
  if (mark === undefined && REFUSAL.test(body.toString())) return undefined;
  if (!sent(body, mark, inputs)) return 'a body that nobody sent';
  const text = body.toString();
  let readings: readonly Subject[];
  try {
    readings = [subject(JSON.parse(text)), firstKeyReader(text) as Subject, foldingReader(text) as Subject, nulReader(text) as Subject];
  } catch {
    return 'a body that a reader cannot read';
  }
  const [first = {}, ...others] = readings;
  if (others.some((other) => JSON.stringify(order(other)) !== JSON.stringify(order(first)))) return 'a body that readers read differently';
  return forbidden(first);
}

/** The very bytes, of this very request. */
function sent(body: Buffer, mark: string | undefined, inputs: ReadonlyMap<number, Input>): boolean {
  const marked = inputs.get(Number(mark));
  const [oldest = 0] = inputs.keys();
  // The guard may have been slow for so long that its input was forgotten.
  if (Number(mark) < oldest) return true;
  const candidates = marked === undefined ? [...inputs.values()] : [marked];
  return candidates.some(({ bytes, payloads }) => payloads?.some((payload) => payload.equals(body)) !== false || bytes.includes(body));
}

function subject(value: unknown): Subject {
  const body = value as Record<string, unknown>;
  const params = (body['params'] ?? {}) as Record<string, unknown>;
  return { method: body['method'], id: body['id'], name: params['name'], uri: params['uri'] };
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const order = ({ method, id, name, uri }: Subject): readonly unknown[] => [method, id, name, uri];

function forbidden({ method, id, name, uri }: Subject): string | undefined {
  // An answer to a question that the server asked.
  if (method === undefined) return id === 'q1' ? undefined : `an answer to ${shown(id)}, which was not asked`;
  if (typeof method !== 'string' || clientMethod(method) === undefined) return `the method ${shown(method)}`;
  if (method === 'tools/call' && name !== 'list') return `a call of ${shown(name)}`;
  if (method === 'prompts/get' && name !== 'p') return `the prompt ${shown(name)}`;
  if (method.startsWith('resources/') && !method.endsWith('list') && uri !== 'file:///a') return `the resource ${shown(uri)}`;
  return undefined;
}
