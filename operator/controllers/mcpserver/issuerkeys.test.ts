import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { MCPServer, MCPServerSpecInput } from '../../../api/mcpserver.ts';
import type { Client } from '../../kube/client.ts';
import { keyOf, type KubeObject } from '../../kube/object.ts';
import { ObjectStore } from '../../runtime/store.ts';
import { type Answers, issuerWorld } from '../issuer/testing/world.ts';
import { server } from './builders.ts';
import { type HeldKeys, keyReferences, ServerKeys } from './issuerkeys.ts';

type Authentication = NonNullable<MCPServerSpecInput['authentication']>;

const key = { ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'given' } as Record<string, string>;
const fetched = (issuer: string, kid = 'new') => ({ issuer, keys: [{ kty: 'EC', kid }] });
const CLUSTER = 'https://kubernetes.default.svc';
const IDP = 'https://idp.example.com';
const corp = { name: 'corp', issuer: IDP, audiences: ['mcp'] };
const jwks = { configMapKeyRef: { name: 'keys', key: 'jwks.json' } };
const NOTHING: HeldKeys = { clusterIssuer: undefined, keys: { issuers: {} } };

const guarded = (authentication: Authentication, guard = { enabled: true }): MCPServer => server({ guard, authentication });

/** A world of issuers and ConfigMaps in which one server asks for its keys. */
function world({ answers = {}, configMaps = {} }: { answers?: Answers; configMaps?: Record<string, Record<string, string>> }) {
  const issuers = issuerWorld(answers);
  const store = new ObjectStore<KubeObject>('configmaps');
  let reads = 0;
  const give = (name: string, resourceVersion: string): void =>
    store.written({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'agents', name, uid: name, resourceVersion } });
  for (const name of Object.keys(configMaps)) give(name, '1');
  const client = {
    get: (_: unknown, { name }: { name: string }) => {
      reads += 1;
      return Promise.resolve({ data: configMaps[name] });
    },
  };
  const keys = new ServerKeys(client as unknown as Client, issuers.issuers, store);
  const of = async (one: MCPServer, held: HeldKeys = NOTHING) => {
    const ask = () => keys.of(one, keyOf(one.metadata), held, new AbortController().signal);
    await ask();
    await issuers.pass(0);
    return ask();
  };
  return { ...issuers, keys, give, configMaps, of, reads: () => reads };
}

describe('the keys of a server', () => {
  it('are none where the guard checks no token', async () => {
    const { of, asked } = world({});
    for (const one of [
      server(),
      guarded({ type: 'Upstream' }),
      guarded({ type: 'Guard', anonymous: true }),
      guarded({ type: 'Guard', jwt: [corp] }, { enabled: false }),
    ]) {
      expect(await of(one)).toEqual({ clusterIssuer: undefined, keys: { issuers: {} }, missing: undefined, stale: undefined });
    }
    expect(asked).toEqual([]);
  });

  it('come from the cluster and from each issuer, as it says', async () => {
    const second = { name: 'second', issuer: 'https://b.example.com', audiences: ['mcp'], jwksURI: 'https://b.example.com/keys' };
    const third = { name: 'third', issuer: 'https://a.example.com', audiences: ['mcp'], jwks };
    const { of } = world({
      answers: { cluster: fetched(CLUSTER), [IDP]: fetched(IDP), 'https://b.example.com': fetched('https://b.example.com') },
      configMaps: { keys: { 'jwks.json': JSON.stringify({ keys: [key, { ...key, d: 'private' }] }) } },
    });
    const { clusterIssuer, keys, missing, stale } = await of(guarded({ type: 'Guard', serviceAccounts: {}, jwt: [corp, second, third] }));
    expect({ clusterIssuer, missing, stale }).toEqual({ clusterIssuer: CLUSTER, missing: undefined, stale: undefined });
    expect(Object.entries(keys.issuers).map(([issuer, { source }]) => [issuer, source])).toEqual([
      ['https://a.example.com', 'ConfigMap keys jwks.json'],
      ['https://b.example.com', 'URL https://b.example.com/keys'],
      [IDP, 'Discovery'],
      [CLUSTER, 'Cluster'],
    ]);
    expect(keys.issuers['https://a.example.com']?.keys).toEqual([key]);
  });

  it('of the cluster stay the cluster’s, also where an issuer of that name is configured', async () => {
    const { of } = world({ answers: { cluster: fetched(CLUSTER, 'own'), [CLUSTER]: fetched(CLUSTER, 'other') } });
    const { keys } = await of(guarded({ type: 'Guard', serviceAccounts: {}, jwt: [{ ...corp, issuer: CLUSTER }] }));
    expect(keys.issuers[CLUSTER]?.keys).toEqual([{ kty: 'EC', kid: 'own' }]);
  });

  const held: HeldKeys = {
    clusterIssuer: CLUSTER,
    keys: {
      issuers: {
        [CLUSTER]: { source: 'Cluster', keys: [{ kty: 'EC', kid: 'old' }] },
        [IDP]: { source: 'Discovery', keys: [{ kty: 'EC', kid: 'old' }] },
      },
    },
  };

  it('that cannot be had are missing, in words, and the others are there', async () => {
    const { of } = world({ answers: { cluster: fetched(CLUSTER), [IDP]: 'it is down' } });
    const { keys, missing, stale } = await of(guarded({ type: 'Guard', serviceAccounts: {}, jwt: [corp] }));
    expect({ missing, stale }).toEqual({ missing: 'corp: it is down', stale: undefined });
    expect(Object.keys(keys.issuers)).toEqual([CLUSTER]);
  });

  it('that the guards hold stay in force while this process cannot fetch any', async () => {
    const { of } = world({ answers: { cluster: 'the API server is away', [IDP]: 'it is down' } });
    const state = await of(guarded({ type: 'Guard', serviceAccounts: {}, jwt: [corp] }), held);
    expect(state).toEqual({
      ...held,
      missing: undefined,
      stale: 'ServiceAccounts: the API server is away; corp: it is down',
    });
  });

  it('that the guards hold from another source do not: somebody had a reason to change it', async () => {
    const { of } = world({ answers: { [IDP]: 'it is down' } });
    const moved = { ...corp, jwksURI: 'https://idp.example.com/new' };
    expect(await of(guarded({ type: 'Guard', jwt: [moved] }), held)).toMatchObject({ keys: { issuers: {} }, missing: 'corp: it is down' });
  });

  it('that are no longer asked for are gone', async () => {
    const { of, issuers } = world({ answers: { [IDP]: fetched(IDP) } });
    await of(guarded({ type: 'Guard', jwt: [corp] }));
    expect([...issuers.servers]).toEqual(['agents/github']);
    expect((await of(guarded({ type: 'Guard', anonymous: true }), held)).keys).toEqual({ issuers: {} });
    expect([...issuers.servers]).toEqual([]);
  });

  const given = guarded({ type: 'Guard', jwt: [{ ...corp, jwks }] });
  const broken: Record<string, [content: Record<string, string>, missing: string]> = {
    'without that key': [{}, 'corp: ConfigMap keys has no key jwks.json'],
    'that is not JSON': [{ 'jwks.json': '{' }, 'corp: key jwks.json of ConfigMap keys cannot be used: it is not JSON'],
    'with a shared secret alone': [
      { 'jwks.json': '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}' },
      'corp: key jwks.json of ConfigMap keys cannot be used: none of its 1 keys is a public key for signatures',
    ],
  };
  for (const [what, [content, missing]] of Object.entries(broken)) {
    it(`are missing with a ConfigMap ${what}`, async () => {
      expect(await world({ configMaps: { keys: content } }).of(given)).toMatchObject({ keys: { issuers: {} }, missing });
    });
  }

  it('in a ConfigMap are read once for each version of it', async () => {
    const { of, give, configMaps, reads } = world({ configMaps: { keys: { 'jwks.json': JSON.stringify({ keys: [key] }) } } });
    await of(given);
    await of(given);
    expect(reads()).toBe(1);
    configMaps['keys'] = { 'jwks.json': JSON.stringify({ keys: [{ ...key, kid: 'next' }] }) };
    give('keys', '2');
    expect((await of(given)).keys.issuers[IDP]?.keys).toEqual([{ ...key, kid: 'next' }]);
  });

  it('in a ConfigMap make it a reference that restarts nothing', () => {
    expect(keyReferences(given)).toEqual([{ kind: 'ConfigMap', name: 'keys', optional: false, writable: false, live: true }]);
    expect(keyReferences(server())).toEqual([]);
  });
});
