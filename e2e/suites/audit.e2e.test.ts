import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Secrets } from '../../operator/kube/resources.ts';
import { faulty, Fleet } from '../fleet.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';
import { plantedSecret } from '../planted.ts';
import { exchange, type RawAnswer, type RawRequest, RawSession } from '../rawclient.ts';

let fleet: Fleet;
let kubectl: Kubectl;
beforeAll(async () => {
  fleet = await Fleet.of(inject('kubeconfig'));
  kubectl = await kubectlFor(inject('kubeconfig'));
});
afterAll(() => fleet[Symbol.asyncDispose]());

interface Requests {
  readonly url: URL;
  readonly key: string;
  readonly session: RawSession;
  /** Its value must not be in any log. */
  readonly secret: string;
}
interface Kind {
  readonly send: (requests: Requests, trace: Readonly<Record<string, string>>) => Promise<RawAnswer>;
  readonly status: number;
  readonly code: string;
}

const rpc = (method: string, params: unknown = {}): string => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
const tool = (name: string, args: unknown = {}): string => rpc('tools/call', { name, arguments: args });
const inSession =
  (body: string | ((requests: Requests) => string), more: RawRequest = {}): Kind['send'] =>
  (requests, headers) =>
    requests.session.send(typeof body === 'string' ? body : body(requests), { ...more, headers: { ...more.headers, ...headers } });
const bare =
  (request: RawRequest): Kind['send'] =>
  ({ url, key }, headers) =>
    exchange(url, { ...request, headers: { authorization: `Bearer ${key}`, ...request.headers, ...headers } });
const MODERN = {
  _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} },
};

/** Every way in which a request can end, with what its caller sees and what its record says. */
const KINDS: Readonly<Record<string, Kind>> = {
  'a list': { send: inSession(rpc('tools/list')), status: 200, code: 'ALLOWED' },
  'a ping': { send: inSession(rpc('ping')), status: 200, code: 'ALLOWED' },
  'a notification': { send: inSession('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'), status: 202, code: 'ALLOWED' },
  'a call': { send: inSession(({ secret }) => tool('echo', { message: secret })), status: 200, code: 'ALLOWED' },
  'a call that fails in the server': { send: inSession(tool('echo', { message: 7 })), status: 200, code: 'ALLOWED' },
  'a call of a hidden tool': { send: inSession(({ secret }) => tool('crash', { message: secret })), status: 200, code: 'CLASS' },
  'a call of an unknown tool': { send: inSession(tool('no_such_tool')), status: 200, code: 'NOT_FOUND' },
  'a call that a rule refuses': { send: inSession(tool('wait', { milliseconds: 60_000 })), status: 200, code: 'ARGUMENT' },
  'a call that its client leaves': {
    send: inSession(tool('wait', { milliseconds: 1000 }), { leaves: true }),
    status: 200,
    code: 'ALLOWED',
  },
  'an unknown method': { send: inSession(rpc('secrets/list')), status: 200, code: 'METHOD' },
  'an unsolicited answer': { send: inSession('{"jsonrpc":"2.0","id":99,"result":{}}'), status: 400, code: 'UNSOLICITED' },
  'broken JSON': { send: inSession('{"jsonrpc":'), status: 400, code: 'MALFORMED' },
  'a member twice': { send: inSession('{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"x"}'), status: 400, code: 'MALFORMED' },
  'another type of content': { send: inSession('hello', { headers: { 'content-type': 'text/plain' } }), status: 415, code: 'MALFORMED' },
  'a foreign origin': { send: inSession(rpc('ping'), { headers: { origin: 'https://evil.example' } }), status: 403, code: 'ORIGIN' },
  'another HTTP method': { send: bare({ method: 'PUT', body: '{}' }), status: 405, code: 'HTTP_METHOD' },
  'no credential': { send: bare({ body: rpc('ping'), headers: { authorization: '' } }), status: 401, code: 'UNAUTHENTICATED' },
  'a wrong credential': {
    send: bare({ body: rpc('ping'), headers: { authorization: `Bearer ${plantedSecret()}` } }),
    status: 401,
    code: 'UNAUTHENTICATED',
  },
  'an unknown session': { send: bare({ body: rpc('ping'), headers: { 'mcp-session-id': 'x' } }), status: 404, code: 'SESSION' },
  'a call of the modern era to a server of the other': {
    send: bare({
      body: rpc('tools/list', MODERN),
      headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    }),
    status: 400,
    code: 'ALLOWED',
  },
  'a stream that its client leaves': {
    send: ({ session }, headers) => session.ask('GET', { headers, leaves: true }),
    status: 200,
    code: 'ALLOWED',
  },
  'the end of a session': { send: ({ session }, headers) => session.ask('DELETE', { headers }), status: 200, code: 'ALLOWED' },
};

interface AuditRecord {
  readonly code: string;
  readonly traceId?: string;
  readonly caller?: { readonly type: string; readonly subject?: string };
  readonly arguments?: { readonly digest?: string };
}

test('each request leaves exactly one record, however it ends, and no secret in it', async () => {
  const namespace = await fleet.namespace();
  const [key, secret] = [plantedSecret(), plantedSecret()];
  await fleet.client.create(Secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys', namespace }, stringData: { ann: key } });
  const rule = {
    name: 'short',
    effect: 'Deny',
    tools: ['wait'],
    arguments: [{ path: '/milliseconds', operator: 'GreaterThan', min: 5000 }],
  };
  const policy = {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: 'MCPToolPolicy',
    metadata: { name: 'read', namespace },
    spec: { selector: {}, defaultAction: 'Allow', access: { maximumClass: 'ReadOnly' }, rules: [rule] },
  };
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(policy));
  const authentication = { type: 'Guard' as const, apiKeys: { secretName: 'keys' } };
  await fleet.apply(namespace, 'server', faulty(['--era', 'Legacy', '--sessions'], { guard: { enabled: true }, authentication }));
  await fleet.ready(namespace, 'server');
  await fleet.until(namespace, 'server', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const url = await fleet.url(namespace, 'server');
  const session = await RawSession.open(url, { authorization: `Bearer ${key}` });

  const traces = new Map<string, string>();
  const seen: Record<string, unknown> = {};
  for (const [kind, { send }] of Object.entries(KINDS)) {
    const trace = randomBytes(16).toString('hex');
    traces.set(trace, kind);
    const { status } = await send({ url, key, session, secret }, { traceparent: `00-${trace}-${randomBytes(8).toString('hex')}-01` });
    seen[kind] = { status };
  }

  const [pod] = await fleet.pods(namespace, 'server');
  const logs = (): Promise<string> => kubectl(['logs', pod?.metadata.name ?? '', '-n', namespace, '-c', 'guard']);
  const records = async (): Promise<AuditRecord[]> =>
    (await logs())
      .split('\n')
      .filter((line) => line.startsWith('{"audit":'))
      .map((line) => (JSON.parse(line) as { readonly audit: AuditRecord }).audit);
  const all = await fleet.eventually(
    records,
    (found) => [...traces.keys()].every((trace) => found.some(({ traceId }) => traceId === trace)),
    30,
    (found) =>
      [...traces]
        .filter(([trace]) => !found.some(({ traceId }) => traceId === trace))
        .map(([, kind]) => kind)
        .join(', '),
  );
  for (const [trace, kind] of traces) {
    const own = all.filter(({ traceId }) => traceId === trace);
    seen[kind] = { ...(seen[kind] as object), records: own.length, code: own[0]?.code };
  }
  expect(seen).toEqual(Object.fromEntries(Object.entries(KINDS).map(([kind, { status, code }]) => [kind, { status, records: 1, code }])));
  expect(all.find(({ traceId }) => traces.get(traceId ?? '') === 'a call')).toMatchObject({
    caller: { type: 'apiKey', subject: 'ann' },
    arguments: { digest: expect.any(String) },
  });
  const text = await logs();
  for (const value of [key, secret]) expect(text).not.toContain(value);
});
