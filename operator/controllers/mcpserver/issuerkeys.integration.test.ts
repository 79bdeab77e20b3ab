import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf, type RunningOperator, until, World } from '../../../e2e/operator-world.ts';
import { signer } from '../../../mcp/testing/signer.ts';
import type { IssuerKeys } from '../../../mcp/policy/bundle.ts';
import { parseBundle, parseKeys } from '../../../mcp/policy/bundlecheck.ts';
import { ConfigMaps, Deployments, Events, Pods } from '../../kube/resources.ts';

let world: World;
let operator: RunningOperator;

beforeAll(async () => {
  world = await World.start({ name: 'issuers' });
  operator = await world.operator();
});
afterAll(async () => {
  await operator?.stop();
  await world?.[Symbol.asyncDispose]();
});

const guard = { enabled: true };
const type = 'Guard';

async function policyFiles(namespace: string, name: string): Promise<{ keys: IssuerKeys; clusterIssuer: string | undefined }> {
  const { data = {} } = await world.get(ConfigMaps, { namespace, name: `${name}-policy` });
  const { authentication } = parseBundle(data['bundle.json'] ?? '');
  return { keys: parseKeys(data['keys.json'] ?? ''), clusterIssuer: authentication.serviceAccounts?.issuer };
}

async function templateOf(namespace: string, name: string): Promise<unknown> {
  return (await world.get(Deployments, { namespace, name })).spec?.template;
}

describe('a server that takes tokens of ServiceAccounts', () => {
  it('has the keys and the name of this cluster’s issuer, as the API server gives them', async () => {
    const namespace = await world.namespace('cluster-keys');
    await world.server(namespace, 'echo', { guard, authentication: { type, serviceAccounts: {} } });
    await world.ready(namespace, 'echo');
    const { issuer } = JSON.parse(await world.kubectl(['get', '--raw', '/.well-known/openid-configuration'])) as { issuer: string };
    const { keys } = JSON.parse(await world.kubectl(['get', '--raw', '/openid/v1/jwks'])) as { keys: object[] };
    await until(async () => {
      const files = await policyFiles(namespace, 'echo');
      expect(files).toEqual({ clusterIssuer: issuer, keys: { issuers: { [issuer]: { source: 'Cluster', keys: expect.anything() } } } });
      expect(files.keys.issuers[issuer]?.keys).toHaveLength(keys.length);
    });
  });

  it('keeps them over a restart of the operator, without a write', async () => {
    const before = await policyFiles('cluster-keys', 'echo');
    await operator.stop();
    const since = new Date();
    operator = await world.operator();
    const elsewhere = await world.namespace('afterwards');
    await world.server(elsewhere, 'last', {});
    await world.ready(elsewhere, 'last');
    expect(await policyFiles('cluster-keys', 'echo')).toEqual(before);
    expect((await world.writes(since)).filter(({ namespace }) => namespace === 'cluster-keys')).toEqual([]);
  });
});

describe('a server that takes tokens of an issuer', () => {
  const issuer = 'https://idp.example.com';
  const corp = { name: 'corp', issuer, audiences: ['mcp'] };
  const jwks = { configMapKeyRef: { name: 'keys', key: 'jwks.json' } };

  it('says why its keys cannot be fetched, without a word of what was found', async () => {
    const namespace = await world.namespace('unreachable');
    await world.server(namespace, 'echo', { guard, authentication: { type, jwt: [{ ...corp, jwksURI: 'https://127.0.0.1:6443/keys' }] } });
    await until(async () => {
      await world.runPods(namespace);
      expect(await world.condition(namespace, 'echo', 'PolicyApplied')).toMatchObject({
        status: 'False',
        reason: 'KeysMissing',
        message:
          'Tokens are refused, as the keys to check them cannot be had. corp: 127.0.0.1 has a loopback, link-local or reserved address',
      });
      expect(await world.condition(namespace, 'echo', 'Ready')).toMatchObject({ status: 'False', reason: 'KeysMissing' });
    });
  });

  it('waits for the ConfigMap that holds its keys, and takes another version of it without a restart', async () => {
    const namespace = await world.namespace('given');
    const keys = await signer(issuer, 'mcp');
    const give = (text: string): Promise<string> =>
      world.apply(
        JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'keys', namespace }, data: { 'jwks.json': text } }),
      );
    await world.server(namespace, 'echo', { guard, authentication: { type, jwt: [{ ...corp, jwks }] } });
    await until(async () =>
      expect(await world.condition(namespace, 'echo', 'Accepted')).toMatchObject({
        reason: 'ReferenceNotFound',
        message: `Not found in namespace ${namespace}: ConfigMap keys`,
      }),
    );
    await give(JSON.stringify(keys.keySet()));
    await world.ready(namespace, 'echo');
    const template = await templateOf(namespace, 'echo');
    const kids = async () => (await policyFiles(namespace, 'echo')).keys.issuers[issuer]?.keys.map(({ kid }) => kid);
    expect(await kids()).toEqual(['key-0']);

    await keys.rotate();
    await give(JSON.stringify(keys.keySet()));
    await until(async () => expect(await kids()).toEqual(['key-1']));
    const { data = {} } = await world.get(ConfigMaps, { namespace, name: 'echo-policy' });
    // The kubelets were told, although the policies are the same.
    await until(async () => {
      const { items } = await world.client.list(Pods, { namespace });
      const told = items.map(({ metadata }) => metadata.annotations?.['mcp-fleet.dev/policy-digest'] ?? '');
      expect(told).toEqual([expect.stringContaining(digestOf(data['keys.json'] ?? ''))]);
      expect((await world.ready(namespace, 'echo')).status?.guards).toEqual({ total: 1, current: 1 });
    });

    await give('{"keys": []}');
    await until(async () =>
      expect(await world.condition(namespace, 'echo', 'Accepted')).toMatchObject({
        status: 'True',
        message: expect.stringMatching(/IssuerUnreachable: .*corp: key jwks\.json of ConfigMap keys cannot be used: none of its 0 keys/),
      }),
    );
    expect(await kids()).toEqual(['key-1']);
    await until(async () => {
      const { items } = await world.client.list(Events, { namespace });
      expect(items.map(({ reason }) => reason)).toContain('IssuerUnreachable');
    });
    expect(await templateOf(namespace, 'echo')).toEqual(template);
  });
});
