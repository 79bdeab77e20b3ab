import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client as MCPClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { expect, inject, test, type TestContext } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { signedWithPublicKey, signer, type TokenParts, unsigned } from '../../mcp/testing/signer.ts';
import { ROOT } from '../../scripts/sources.ts';
import { faulty, Fleet } from '../fleet.ts';
import { identityProvider } from '../identityprovider.ts';
import { type Kubectl, kubectlFor } from '../kubectl.ts';

const AUDIENCE = 'mcp';

interface Scene {
  readonly fleet: Fleet;
  readonly namespace: string;
  readonly kubectl: Kubectl;
  /** One call of `echo`, as plain HTTP. */
  readonly call: (
    server: string,
    token?: string,
  ) => Promise<{ readonly status: number; readonly challenge: string; readonly text: string }>;
  /** A session of the official client that sends this token. */
  readonly connect: (server: string, token: string) => Promise<MCPClient>;
  /** A token of a ServiceAccount of the namespace. */
  readonly serviceAccountToken: (name: string, ...flags: readonly string[]) => Promise<string>;
}

async function scene({ onTestFinished }: TestContext): Promise<Scene> {
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const namespace = await fleet.namespace();
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const bearer = (token: string | undefined): Record<string, string> => (token === undefined ? {} : { authorization: `Bearer ${token}` });
  return {
    fleet,
    namespace,
    kubectl,
    call: async (server, token) => {
      const response = await fetch(await fleet.url(namespace, server), {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...bearer(token) },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { message: 'hello' } } }),
        signal: AbortSignal.timeout(30_000),
      });
      return { status: response.status, challenge: response.headers.get('www-authenticate') ?? '', text: await response.text() };
    },
    connect: async (server, token) => {
      const client = new MCPClient({ name: 'e2e', version: '1' });
      await client.connect(
        new StreamableHTTPClientTransport(await fleet.url(namespace, server), { requestInit: { headers: bearer(token) } }),
      );
      onTestFinished(() => client.close().catch(() => {}));
      return client;
    },
    serviceAccountToken: async (name, ...flags) => (await kubectl(['create', 'token', name, '-n', namespace, ...flags])).trim(),
  };
}

const namesOf = async (client: MCPClient): Promise<string[]> => (await client.listTools()).tools.map(({ name }) => name).toSorted();

/** An example with what its reader must replace. */
async function example(file: string, replacements: Readonly<Record<string, string>>): Promise<string> {
  const text = await readFile(join(ROOT, 'examples/policies', file), 'utf8');
  return Object.entries(replacements).reduce((all, [from, to]) => all.replaceAll(from, to), text);
}

const guarded = (authentication: NonNullable<MCPServerSpecInput['authentication']>): MCPServerSpecInput => faulty([], { authentication });

test.concurrent('ServiceAccounts prove themselves by their tokens, and a policy tells them apart', async (context) => {
  const { fleet, namespace, kubectl, call, connect, serviceAccountToken } = await scene(context);
  const manifest = await example('teams-by-service-account.yaml', { 'namespace: agents': `namespace: ${namespace}` });
  await kubectl(['apply', '--server-side', '-n', namespace, '-f', '-'], manifest);
  await fleet.ready(namespace, 'tickets', 150);
  await fleet.until(namespace, 'tickets', 'PolicyApplied', { status: 'True', reason: 'Applied' });
  const audience = ['--audience', 'mcp-fleet.dev'];

  const triage = await connect('tickets', await serviceAccountToken('triage', ...audience));
  expect(await namesOf(triage)).toEqual(['echo']);
  expect(await triage.callTool({ name: 'echo', arguments: { message: 'hello' } })).toMatchObject({ content: [{ text: 'Echo: hello' }] });
  await expect(triage.callTool({ name: 'get-sum', arguments: { a: 1, b: 2 } })).rejects.toMatchObject({ code: -32602 });
  const release = await connect('tickets', await serviceAccountToken('release', ...audience));
  expect(await namesOf(release)).toEqual(expect.arrayContaining(['echo', 'get-sum']));
  const other = await connect('tickets', await serviceAccountToken('default', ...audience));
  expect(await namesOf(other)).toEqual([]);

  expect(await call('tickets')).toMatchObject({ status: 401, challenge: 'Bearer' });
  const forTheAPIServer = await call('tickets', await serviceAccountToken('triage'));
  expect(forTheAPIServer).toMatchObject({ status: 401, challenge: expect.stringContaining('error="invalid_token"') });
  expect(forTheAPIServer.text).toMatch(/not meant for this server/);
});

test.concurrent('callers are told apart by the groups in the tokens of an identity provider', async (context) => {
  const { fleet, namespace, kubectl, call, connect } = await scene(context);
  const idp = await identityProvider(kubectl, namespace);
  const keys = await signer(idp.issuer, AUDIENCE);
  await idp.publish(keys.keySet());
  const manifest = await example('teams-by-group.yaml', { 'https://idp.example.com': idp.issuer });
  await kubectl(['apply', '--server-side', '-n', namespace, '-f', '-'], manifest);
  await fleet.ready(namespace, 'tickets', 150);
  await fleet.until(namespace, 'tickets', 'PolicyApplied', { status: 'True', reason: 'Applied' });

  const as = async (groups: readonly string[]): Promise<string[]> =>
    namesOf(await connect('tickets', await keys.token({ claims: { groups } })));
  expect(await as(['developers', 'others'])).toEqual(['echo']);
  expect(await as(['oncall'])).toEqual(expect.arrayContaining(['echo', 'get-sum']));
  expect(await as([])).toEqual([]);

  const { status, challenge } = await call('tickets');
  const url = /^Bearer resource_metadata="([^"]+)"$/.exec(challenge)?.[1] ?? '';
  expect([status, await (await fetch(url)).json()]).toEqual([
    401,
    {
      resource: (await fleet.url(namespace, 'tickets')).href.replace(':80/', '/'),
      authorization_servers: [idp.issuer],
      bearer_methods_supported: ['header'],
    },
  ]);
});

test.concurrent('whatever is wrong with a token, the server does not see it; keys rotate while it runs', async (context) => {
  const { fleet, namespace, kubectl, call, serviceAccountToken } = await scene(context);
  const idp = await identityProvider(kubectl, namespace);
  const keys = await signer(idp.issuer, AUDIENCE);
  const foreign = await signer(idp.issuer, AUDIENCE);
  await idp.publish(keys.keySet());
  const jwt = [{ name: 'corp', issuer: idp.issuer, audiences: [AUDIENCE], requiredScopes: ['mcp:use'] }];
  const type = 'Guard';
  const token = (parts: TokenParts = {}): Promise<string> => keys.token({ scope: 'openid mcp:use', ...parts });
  await fleet.apply(namespace, 'strict', guarded({ type, serviceAccounts: { audiences: ['own'] }, jwt }));
  await fleet.ready(namespace, 'strict', 150);
  const [pod] = await fleet.pods(namespace, 'strict');
  const good = await token();
  await fleet.eventually(
    () => call('strict', good),
    ({ status }) => status === 200,
    30,
  );
  const own = await serviceAccountToken('default', '--audience', 'own');
  expect(await call('strict', own)).toMatchObject({ status: 200 });
  const seen = async (): Promise<number> => (await fleet.seen(namespace, 'strict')).requests['tools/call'] ?? 0;
  const before = await seen();

  const soon = Math.floor(Date.now() / 1000) + 300;
  const claims = { iss: idp.issuer, aud: AUDIENCE, sub: 'alice', exp: soon };
  const [jwk = {}] = keys.keySet().keys;
  const [header = '', , signature = ''] = good.split('.');
  const promoted = Buffer.from(JSON.stringify({ ...claims, groups: ['admin'] })).toString('base64url');
  const wrong: Record<string, [token: string, reason: RegExp]> = {
    expired: [await token({ expiresIn: -120 }), /has expired/],
    'for another audience': [await token({ aud: 'other' }), /not meant for this server/],
    'of another issuer': [await token({ iss: 'https://elsewhere.example' }), /issuer of the token is not accepted/],
    'of an unknown key': [await token({ kid: 'nobody' }), /unknown key/],
    'of a key that only calls itself so': [await foreign.token(), /not valid/],
    'with other claims': [`${header}.${promoted}.${signature}`, /not valid/],
    'of no algorithm': [unsigned(claims), /not valid/],
    'with the public key as a secret': [await signedWithPublicKey(jwk, claims), /not valid/],
    'of a ServiceAccount, for the API server': [await serviceAccountToken('default'), /not meant for this server/],
    'that is none': ['nonsense', /not known/],
  };
  for (const [what, [wrongToken, reason]] of Object.entries(wrong)) {
    const { status, challenge, text } = await call('strict', wrongToken);
    expect([what, status, challenge]).toEqual([what, 401, expect.stringMatching(/^Bearer error="invalid_token", error_description="/)]);
    expect(text, what).toMatch(reason);
  }
  const scopeless = await call('strict', await token({ scope: 'openid' }));
  expect([scopeless.status, scopeless.challenge]).toEqual([
    403,
    expect.stringMatching(/^Bearer error="insufficient_scope", scope="mcp:use", resource_metadata="/),
  ]);
  expect(await seen()).toBe(before);

  // Old and new key side by side; the new one is met by a guard before the operator knows of it.
  await keys.rotate();
  await idp.publish(keys.keySet({ all: true }));
  const rotated = performance.now();
  const fresh = await token();
  await fleet.eventually(
    () => call('strict', fresh),
    ({ status }) => status === 200,
    90,
  );
  await context.annotate(`from a token with a new key to the first that passed: ${Math.round(performance.now() - rotated)} ms`);
  expect(await call('strict', good)).toMatchObject({ status: 200 });

  // The old one is taken back; any unknown key makes the operator look again.
  await idp.publish(keys.keySet());
  await fleet.eventually(
    async () => {
      await call('strict', await token({ kid: 'nobody' }));
      return call('strict', good);
    },
    ({ status }) => status === 401,
    120,
  );
  expect(await call('strict', fresh)).toMatchObject({ status: 200 });

  await idp.stop();
  for (let time = 0; time < 3; time++) {
    await call('strict', await token({ kid: 'nobody' }));
    expect(await call('strict', await token())).toMatchObject({ status: 200 });
  }
  await fleet.until(namespace, 'strict', 'Accepted', { status: 'True', message: /IssuerUnreachable.*corp: / }, 120);
  expect(await call('strict', await token())).toMatchObject({ status: 200 });
  const [after] = await fleet.pods(namespace, 'strict');
  expect(after?.metadata.uid).toBe(pod?.metadata.uid);
});

test.concurrent('the server learns of its callers what is configured, and no credential otherwise', async (context) => {
  const { fleet, namespace, call, serviceAccountToken } = await scene(context);
  const serviceAccounts = { audiences: ['own'] };
  const type = 'Guard';
  await fleet.apply(namespace, 'learns', guarded({ type, serviceAccounts }));
  await fleet.ready(namespace, 'learns', 150);
  const [pod] = await fleet.pods(namespace, 'learns');
  const token = await serviceAccountToken('default', '--audience', 'own');
  const user = `system:serviceaccount:${namespace}:default`;
  /** What the server was told with the last call. */
  const told = async () => {
    expect(await call('learns', token)).toMatchObject({ status: 200 });
    const headers = (await fleet.seen(namespace, 'learns')).headers['tools/call'] ?? {};
    const { authorization: credential, 'x-forwarded-user': who, 'x-forwarded-groups': groups } = headers;
    return { credential, who, groups, anywhere: JSON.stringify(headers).includes(token) };
  };
  const nothing = { credential: undefined, who: undefined, groups: undefined, anywhere: false };
  expect(await told()).toEqual(nothing);

  await fleet.apply(namespace, 'learns', guarded({ type, serviceAccounts, forward: 'Headers' }));
  await fleet.eventually(told, ({ who }) => who === user, 60);
  expect(await told()).toEqual({ ...nothing, who: user, groups: `system:serviceaccounts,system:serviceaccounts:${namespace}` });

  await fleet.apply(namespace, 'learns', guarded({ type, serviceAccounts, forward: 'Token' }));
  await fleet.eventually(told, ({ credential }) => credential === `Bearer ${token}`, 60);
  expect(await told()).toEqual({ ...nothing, credential: `Bearer ${token}`, anywhere: true });

  // Anonymous callers pass where that is said, and a wrong token does not make anybody anonymous.
  await fleet.apply(namespace, 'learns', guarded({ type, serviceAccounts, anonymous: true }));
  await fleet.eventually(
    () => call('learns'),
    ({ status }) => status === 200,
    60,
  );
  expect(await call('learns', `${token}x`)).toMatchObject({ status: 401 });
  const [after] = await fleet.pods(namespace, 'learns');
  expect(after?.metadata.uid).toBe(pod?.metadata.uid);
});

test.concurrent('keys that cannot be had are said in status; given in a ConfigMap they are in force without a restart', async (context) => {
  const { fleet, namespace, kubectl, call } = await scene(context);
  const issuer = `http://nobody.${namespace}.svc.cluster.local`;
  const keys = await signer(issuer, AUDIENCE);
  const corp = { name: 'corp', issuer, audiences: [AUDIENCE] };
  const type = 'Guard';
  await fleet.apply(namespace, 'keyless', guarded({ type, jwt: [corp] }));
  const wanted = { status: 'False', reason: 'KeysMissing', message: /corp: the name nobody\..* does not resolve/ } as const;
  await fleet.until(namespace, 'keyless', 'PolicyApplied', wanted, 150);
  await fleet.until(namespace, 'keyless', 'Available', { status: 'True' }, 150);
  const [pod] = await fleet.pods(namespace, 'keyless');
  const refused = await call('keyless', await keys.token());
  expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('the keys of its issuer are not known here yet')]);

  await fleet.apply(namespace, 'keyless', guarded({ type, jwt: [{ ...corp, jwks: { configMapKeyRef: { name: 'keys', key: 'jwks' } } }] }));
  await fleet.until(namespace, 'keyless', 'Accepted', { status: 'False', reason: 'ReferenceNotFound', message: /ConfigMap keys/ });
  const give = (): Promise<string> =>
    kubectl(
      ['apply', '-n', namespace, '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'keys' }, data: { jwks: JSON.stringify(keys.keySet()) } }),
    );
  await give();
  await fleet.ready(namespace, 'keyless', 60);
  const passes = async (): Promise<unknown> => {
    const token = await keys.token();
    return fleet.eventually(
      () => call('keyless', token),
      ({ status }) => status === 200,
      60,
    );
  };
  await passes();
  await keys.rotate();
  await give();
  await passes();
  const [after] = await fleet.pods(namespace, 'keyless');
  expect(after?.metadata.uid).toBe(pod?.metadata.uid);
});
