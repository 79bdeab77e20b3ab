import { once } from 'node:events';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bundle, Policy } from '../mcp/policy/bundle.ts';
import { bundleDigest } from '../mcp/policy/bundlecheck.ts';
import { signedWithPublicKey, unsigned } from '../mcp/testing/signer.ts';
import { bundle, policy } from './testing/bundle.ts';
import type { Issuer } from './testing/issuer.ts';
import { issuer } from './testing/issuer.ts';
import type { RunningGuard, RunningOptions } from './testing/running.ts';
import { eventually, runGuard } from './testing/running.ts';
import type { ScriptedServer } from './testing/scripted.ts';
import { scriptedServer, tool } from './testing/scripted.ts';

const stopping: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop();
});

const AUDIENCE = 'mcp';

interface Parts {
  readonly authentication?: Partial<Bundle['authentication']>;
  readonly requiredScopes?: readonly string[];
  readonly policies?: readonly Policy[];
  readonly apiKeys?: RunningOptions['apiKeys'];
  readonly flags?: readonly string[];
}

async function guarded(parts: Parts = {}): Promise<{ idp: Issuer; server: ScriptedServer; guard: RunningGuard; rules: Bundle }> {
  const idp = await issuer(AUDIENCE);
  stopping.push(idp.stop);
  const server = await scriptedServer(
    (seen, response) => {
      const { id } = JSON.parse(seen.body.toString()) as { id: unknown };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } }));
    },
    { tools: [tool('read'), tool('admin')] },
  );
  stopping.push(server.stop);
  const jwt = [{ name: 'corp', issuer: idp.url, audiences: [AUDIENCE], groupsClaim: 'groups', requiredScopes: parts.requiredScopes ?? [] }];
  const authentication = { type: 'Guard', jwt, apiKeys: parts.apiKeys !== undefined, ...parts.authentication } as const;
  const rules = bundle({ authentication, policies: parts.policies ?? [] });
  const { apiKeys, flags } = parts;
  const guard = await runGuard({
    upstream: server.url,
    bundle: rules,
    keys: idp.keys(),
    ...(apiKeys === undefined ? {} : { apiKeys }),
    ...(flags === undefined ? {} : { flags }),
  });
  stopping.push(guard.stop);
  await eventually(async () => (await fetch(`http://127.0.0.1:${guard.ports.admin}/readyz`)).ok, 'the server was listed');
  return { idp, server, guard, rules };
}

function call(guard: RunningGuard, headers: Record<string, string>, name = 'read'): Promise<Response> {
  return fetch(guard.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  });
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

describe('a token', () => {
  const soon = Math.floor(Date.now() / 1000) + 300;

  test.each<[string, (idp: Issuer) => string | Promise<string>, RegExp]>([
    ['that has expired', (idp) => idp.token({ expiresIn: -120 }), /has expired/],
    ['for another server', (idp) => idp.token({ aud: 'other' }), /not meant for this server/],
    ['of an unknown issuer', (idp) => idp.token({ iss: 'https://evil.example' }), /issuer of the token is not accepted/],
    ['signed with an unknown key', (idp) => idp.token({ kid: 'nobody' }), /unknown key/],
    ['without a signature', (idp) => unsigned({ iss: idp.url, aud: AUDIENCE, sub: 'x', exp: soon }), /not valid/],
    [
      'signed with the public key as a shared secret',
      (idp) => signedWithPublicKey(idp.keys().issuers[idp.url]?.keys[0] ?? {}, { iss: idp.url, aud: AUDIENCE, sub: 'x', exp: soon }),
      /not valid/,
    ],
    ['that is none', () => 'nonsense', /not known/],
  ])('%s is refused with a challenge and never reaches the server', async (_what, make, reason) => {
    const { idp, guard, server } = await guarded();
    const response = await call(guard, bearer(await make(idp)));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(
      /^Bearer error="invalid_token", error_description="[^"]+", resource_metadata="/,
    );
    expect(await response.text()).toMatch(reason);
    expect(server.calls()).toHaveLength(0);
  });

  test('that is good passes; its credential stays behind and appears in no log', async () => {
    const { idp, guard, server } = await guarded();
    const token = await idp.token({ sub: 'alice', claims: { groups: ['dev'] } });
    expect((await call(guard, bearer(token))).status).toBe(200);
    expect(server.calls()[0]?.headers.authorization).toBeUndefined();
    const metrics = await (await fetch(`http://127.0.0.1:${guard.ports.metrics}/metrics`)).text();
    const [record] = await guard.audit();
    for (const text of [guard.auditText(), guard.logText(), metrics]) expect(text).not.toContain(token.split('.')[2]);
    expect(record).toMatchObject({ caller: { type: 'jwt', issuer: idp.url, subject: 'alice', groups: ['dev'] } });
  });

  test('of a rotated key passes once the new keys have come, without a restart', async () => {
    const { idp, guard } = await guarded();
    const old = await idp.token();
    expect((await call(guard, bearer(old))).status).toBe(200);
    await idp.rotate();
    const fresh = await idp.token();
    expect((await call(guard, bearer(fresh))).status).toBe(401);
    writeFileSync(join(guard.directory, 'keys.json'), JSON.stringify(idp.keys()));
    await eventually(async () => (await call(guard, bearer(fresh))).status === 200, 'the new key is known');
    expect((await call(guard, bearer(old))).status).toBe(401);
  });

  test('has its groups in the claim that is configured', async () => {
    const { idp, guard, rules } = await guarded();
    const [corp] = rules.authentication.jwt;
    const jwt = corp === undefined ? [] : [{ ...corp, groupsClaim: 'https://example.com/roles' }];
    guard.write({ ...rules, authentication: { ...rules.authentication, jwt } });
    const token = await idp.token({ claims: { groups: ['dev'], 'https://example.com/roles': ['ops'] } });
    const groups = async (): Promise<unknown> => {
      await call(guard, bearer(token));
      return ((await guard.audit()).at(-1)?.['caller'] as Record<string, unknown> | undefined)?.['groups'];
    };
    await eventually(async () => JSON.stringify(await groups()) === '["ops"]', 'the bundle holds');
  });

  test('with an unknown key is reported with its issuer, for the operator to fetch its keys again', async () => {
    const { idp, guard } = await guarded();
    const status = async () => (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/status`)).json()) as Record<string, unknown>;
    const digest = bundleDigest(JSON.stringify(idp.keys()));
    expect(await status()).toMatchObject({ keysDigest: digest, unknownKeys: {} });
    for (const token of [
      await idp.token({ kid: 'nobody' }),
      await idp.token({ kid: 'other' }),
      await idp.token({ iss: 'https://evil.example', kid: 'x' }),
    ])
      expect((await call(guard, bearer(token))).status).toBe(401);
    expect((await status())['unknownKeys']).toEqual({ [idp.url]: 2 });
    writeFileSync(join(guard.directory, 'keys.json'), '{"issuers": {}}');
    const token = await idp.token();
    await eventually(async () => (await (await call(guard, bearer(token))).text()).includes('not known here yet'), 'there are no keys');
    const now = await status();
    expect(now).toMatchObject({ keysDigest: bundleDigest('{"issuers": {}}') });
    // Counted anew: the tokens that were refused before met other keys.
    expect(Object.values(now['unknownKeys'] as Record<string, number>)).toEqual([1]);
    writeFileSync(join(guard.directory, 'keys.json'), '{"issuers": 5}');
    await eventually(async () => JSON.stringify(await status()).includes('"file":"keys.json"'), 'the file is refused');
    expect(await status()).toMatchObject({ keysDigest: bundleDigest('{"issuers": {}}') });
  });

  test('whose groups are elsewhere allows nothing by groups, and is not free of what groups forbid', async () => {
    const rules: Policy[] = [
      policy({
        defaultAction: 'Deny',
        rules: [
          {
            name: 'admins',
            effect: 'Allow',
            tools: ['admin'],
            subjects: [{ jwt: { issuer: 'ISSUER', groups: ['ops'], scopes: [] } }],
            arguments: [],
          },
          { name: 'all', effect: 'Allow', tools: ['read'], arguments: [] },
        ],
      }),
    ];
    const { idp, guard, rules: written } = await guarded({ policies: rules });
    guard.write(JSON.parse(JSON.stringify(written).replace('"ISSUER"', JSON.stringify(idp.url))) as Bundle);
    const ops = await idp.token({ claims: { groups: ['ops'] } });
    await eventually(async () => (await (await call(guard, bearer(ops), 'admin')).text()).includes('"result"'), 'the group may');
    const overage = await idp.token({ claims: { _claim_names: { groups: 'src1' } } });
    expect(await (await call(guard, bearer(overage), 'admin')).text()).toContain('Unknown tool');
  });
});

test('no credential is 401 with a challenge that names the metadata; the metadata names the issuer', async () => {
  const { idp, guard } = await guarded({ requiredScopes: ['mcp:use'] });
  const response = await call(guard, {});
  const challenge = response.headers.get('www-authenticate') ?? '';
  expect([response.status, challenge]).toEqual([401, expect.stringContaining('scope="mcp:use"')]);
  const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? '';
  const document = (await (await fetch(url)).json()) as object;
  expect(document).toEqual({
    resource: guard.url,
    authorization_servers: [idp.url],
    bearer_methods_supported: ['header'],
    scopes_supported: ['mcp:use'],
  });
});

test('a ServiceAccount of the cluster is known by its token, for its audience alone', async () => {
  const { idp, guard, rules } = await guarded();
  const serviceAccounts = { issuer: idp.url, audiences: ['mcp-fleet.dev'] };
  guard.write({ ...rules, authentication: { ...rules.authentication, jwt: [], serviceAccounts } });
  const sub = 'system:serviceaccount:agents:triage';
  const good = await idp.token({ sub, aud: 'mcp-fleet.dev' });
  await eventually(async () => (await call(guard, bearer(good))).status === 200, 'the bundle holds');
  expect((await guard.audit()).at(-1)).toMatchObject({ caller: { type: 'serviceAccount', subject: 'agents/triage' } });
  expect((await call(guard, bearer(await idp.token({ sub, aud: 'https://kubernetes.default.svc' })))).status).toBe(401);
  expect((await call(guard, bearer(await idp.token({ sub: 'alice', aud: 'mcp-fleet.dev' })))).status).toBe(401);
});

describe('an API key', () => {
  test.each([
    ['as bearer', { authorization: 'Bearer key-of-bot' }, 200],
    ['in X-Api-Key', { 'x-api-key': 'key-of-bot' }, 200],
    ['that nobody has', { 'x-api-key': 'other' }, 401],
    ['that is empty', { 'x-api-key': '' }, 401],
    ['twice', { authorization: 'Bearer key-of-bot', 'x-api-key': 'key-of-bot' }, 401],
    ['in an unknown scheme', { authorization: 'Basic key-of-bot' }, 401],
  ])('%s', async (_what, headers, status) => {
    const { guard, server } = await guarded({ apiKeys: { 'ci-bot': 'key-of-bot\n', nobody: '' }, authentication: { jwt: [] } });
    expect((await call(guard, headers)).status).toBe(status);
    if (status !== 200) return;
    expect((await guard.audit())[0]).toMatchObject({ caller: { type: 'apiKey', subject: 'ci-bot' } });
    expect(JSON.stringify(server.calls())).not.toContain('key-of-bot');
    expect(guard.auditText()).not.toContain('key-of-bot');
  });
});

test('a stream ends when the credential of its caller is taken back', async () => {
  const server = await scriptedServer((seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (seen.method === 'GET') response.write(': open\n\n');
  });
  stopping.push(server.stop);
  const keys = bundle({ authentication: { type: 'Guard', apiKeys: true } });
  const guard = await runGuard({ upstream: server.url, bundle: keys, apiKeys: { bot: 'a-key' } });
  stopping.push(guard.stop);
  const stream = await fetch(guard.url, { headers: { accept: 'text/event-stream', 'x-api-key': 'a-key' } });
  expect(stream.status).toBe(200);
  const folder = readdirSync(guard.directory).find((name) => name.startsWith('api-keys')) ?? '';
  writeFileSync(join(guard.directory, folder, 'bot'), 'another-key');
  expect(await stream.text()).toContain(': open');
  expect((await fetch(guard.url, { headers: { accept: 'text/event-stream', 'x-api-key': 'a-key' } })).status).toBe(401);
});

test('a credential that is taken back while its request still arrives does not count any more', async () => {
  const { guard } = await guarded({ apiKeys: { bot: 'a-key' }, authentication: { jwt: [] } });
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read', arguments: {} } });
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'x-api-key': 'a-key' };
  const slow = request(guard.url, { method: 'POST', headers });
  const answered = once(slow, 'response');
  slow.write(text.slice(0, 10));
  expect((await call(guard, { 'x-api-key': 'a-key' })).status).toBe(200);
  const folder = readdirSync(guard.directory).find((name) => name.startsWith('api-keys')) ?? '';
  writeFileSync(join(guard.directory, folder, 'bot'), 'another-key');
  await eventually(async () => (await call(guard, { 'x-api-key': 'a-key' })).status === 401, 'the key is taken back');
  slow.end(text.slice(10));
  const [response] = (await answered) as [IncomingMessage];
  expect(response.resume().statusCode).toBe(401);
});

test('streams end when a key of their issuer is withdrawn: those of its callers alone, and not when a key is added', async () => {
  const server = await scriptedServer((seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (seen.method === 'GET') response.write(': open\n\n');
  });
  const [idp, other, cluster] = [await issuer(AUDIENCE), await issuer(AUDIENCE), await issuer(AUDIENCE)];
  stopping.push(server.stop, idp.stop, other.stop, cluster.stop);
  const jwt = [idp, other].map(({ url }, at) => ({
    name: `idp-${at}`,
    issuer: url,
    audiences: [AUDIENCE],
    groupsClaim: 'groups',
    requiredScopes: [],
  }));
  const authentication = { type: 'Guard', jwt, serviceAccounts: { issuer: cluster.url, audiences: [AUDIENCE] } } as const;
  const keySets = (): Record<string, { keys: readonly Readonly<Record<string, unknown>>[] }> =>
    Object.assign({}, ...[idp, other, cluster].map((each) => each.keys().issuers));
  const guard = await runGuard({ upstream: server.url, bundle: bundle({ authentication }), keys: { issuers: keySets() } });
  stopping.push(guard.stop);
  /** Gives how many streams are open once these keys are in force. */
  const put = async (issuers: ReturnType<typeof keySets>): Promise<number> => {
    const text = JSON.stringify({ issuers });
    writeFileSync(join(guard.directory, 'keys.json.new'), text);
    renameSync(join(guard.directory, 'keys.json.new'), join(guard.directory, 'keys.json'));
    let streams = -1;
    await eventually(async () => {
      const status = (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/status`)).json()) as { readonly streams: number };
      streams = status.streams;
      return JSON.stringify(status).includes(bundleDigest(text));
    }, 'the keys are in force');
    return streams;
  };
  const open = async (token: string): Promise<() => boolean> => {
    const response = await fetch(guard.url, { headers: { accept: 'text/event-stream', ...bearer(token) } });
    expect(response.status).toBe(200);
    let ended = false;
    void response.text().then(() => (ended = true));
    return () => ended;
  };
  const person = await open(await idp.token());
  const another = await open(await other.token());
  const sub = 'system:serviceaccount:agents:triage';
  const serviceAccount = await open(await cluster.token({ sub }));
  const ended = (): boolean[] => [person(), another(), serviceAccount()];

  const old = idp.keys().issuers[idp.url]?.keys ?? [];
  await idp.rotate();
  const added = idp.keys().issuers[idp.url]?.keys ?? [];
  // A provider writes its keys in whatever order it likes.
  const turned = old.map((key) => Object.fromEntries(Object.entries(key).toReversed()));
  expect(await put({ ...keySets(), [idp.url]: { keys: [...added, ...turned] } })).toBe(3);
  expect(await put({ ...keySets(), [idp.url]: { keys: added } })).toBe(2);
  await eventually(person, 'the stream of its caller ended');
  expect(await put({ ...keySets(), [cluster.url]: { keys: [] } })).toBe(1);
  await eventually(serviceAccount, 'the stream of the ServiceAccount ended');
  expect(ended()).toEqual([true, false, true]);
});

describe('the server learns of the caller', () => {
  test.each([
    ['nothing by default', { type: 'None' }, undefined, undefined],
    [
      'the verified user and groups, and nothing that the caller says itself',
      { type: 'Headers', userHeader: 'X-User', groupsHeader: 'X-Groups' },
      'alice',
      'a%2Cb,c',
    ],
  ] as const)('%s', async (_what, forward, user, groups) => {
    const { idp, guard, server } = await guarded({ authentication: { forward } });
    const token = await idp.token({ claims: { groups: ['a,b', 'c'] } });
    await call(guard, { ...bearer(token), ...(user === undefined ? {} : { 'x-user': 'root', 'x-groups': 'wheel' }) });
    const headers = server.calls()[0]?.headers;
    expect([headers?.['x-user'], headers?.['x-groups'], headers?.authorization]).toEqual([user, groups, undefined]);
  });

  test('the token itself where that is configured, but never an API key', async () => {
    const { idp, guard, server } = await guarded({ authentication: { forward: { type: 'Token' } }, apiKeys: { bot: 'a-key' } });
    const token = await idp.token();
    await call(guard, bearer(token));
    await call(guard, bearer('a-key'));
    expect(server.calls().map((seen) => seen.headers.authorization)).toEqual([`Bearer ${token}`, undefined]);
  });
});

test('with Upstream the server’s own OAuth passes untouched: credential, challenge, metadata', async () => {
  const server = await scriptedServer((seen, response) => {
    if (seen.url.startsWith('/.well-known/')) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(`{"path":"${seen.url}"}`);
    } else if (seen.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="https://its.own/x"' }).end();
    } else {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
    }
  });
  stopping.push(server.stop);
  const guard = await runGuard({ upstream: server.url, bundle: bundle({ authentication: { type: 'Upstream' } }) });
  stopping.push(guard.stop);
  const refused = await call(guard, {});
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer resource_metadata="https://its.own/x"']);
  expect((await call(guard, bearer('its-token'))).status).toBe(200);
  expect(server.calls().at(-1)?.headers.authorization).toBe('Bearer its-token');
  const path = '/.well-known/oauth-protected-resource/mcp';
  expect(await (await fetch(new URL(path, guard.url))).json()).toEqual({ path });
  expect((await fetch(new URL('/.well-known/other', guard.url))).status).toBe(404);
});
