import { describe, expect, it } from 'vitest';
import { listedInventory } from '../../../mcp/tool-list.ts';
import { toolInventory } from '../../../mcp/inventory.ts';
import type { Client } from '../../kube/client.ts';
import { KubeError, type KubeErrorCode } from '../../kube/errors.ts';
import { keyOf, type KubeObject, type Resource } from '../../kube/object.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { type MCPToolPolicy, MCPToolPolicySpec } from '../../../api/mcptoolpolicy.ts';
import { ObjectStore } from '../../runtime/store.ts';
import { server, UNGUARDED } from './builders.ts';
import { issuerWorld } from '../issuer/testing/world.ts';
import { Enforcement } from './enforcement.ts';
import { ServerKeys } from './issuerkeys.ts';
import { type Stores, watchStores } from './stores.ts';

const guarded = server() as MCPServer & KubeObject;
const inventory = listedInventory(toolInventory([{ name: 'read', inputSchema: {}, annotations: { readOnlyHint: true } }]));

const emptyStores = (): Stores =>
  watchStores(
    { watch: (resource: Resource, settings: object) => new ObjectStore(resource.plural, settings) },
    { secretRotation: false, clusterRoles: [], referenceKeys: () => [] },
  );

const enforcementOf = (stores: Stores, create: () => Promise<KubeObject>) => {
  const client = { create } as unknown as Client;
  return new Enforcement({
    client,
    stores,
    serverKeys: new ServerKeys(client, issuerWorld({}).issuers, stores.existing.ConfigMap),
    settings: { operatorNamespace: 'mcp-fleet-system', clusterDomain: 'cluster.local', ambient: 'Deny' },
    inventory: () => inventory,
    now: () => new Date('2026-01-01T00:00:00Z'),
  });
};

const signal = new AbortController().signal;

function enforcing(create: () => Promise<KubeObject>) {
  const enforcement = enforcementOf(emptyStores(), create);
  return async () => {
    const enforced = await enforcement.of(guarded, keyOf(guarded.metadata), true, signal);
    if (enforced === undefined) throw new Error('an accepted server has something to enforce');
    return enforced;
  };
}

const refusing = (code: KubeErrorCode, message: string) => enforcing(() => Promise.reject(new KubeError(code, message)));

describe('the first pins', () => {
  const refusals: Record<string, [KubeErrorCode, string]> = {
    'a quota': ['Forbidden', 'exceeded quota: maps'],
    'a webhook': ['InternalError', 'failed calling webhook "x"'],
    'their size': ['Invalid', 'data: Too long: may not be more than 1048576 bytes'],
  };
  for (const [what, [code, words]] of Object.entries(refusals)) {
    it(`that ${what} refuses keep no policy from being enforced, and are tried again`, async () => {
      const of = refusing(code, words);
      for (let attempt = 0; attempt < 2; attempt++) {
        const { compiled, pinned, pinsMissing } = await of();
        expect(pinned).toBe(false);
        expect(pinsMissing).toContain(`ConfigMap github-pins cannot be created: ${words}`);
        expect(compiled.policies).toEqual([]);
      }
    });
  }

  it('are the watch’s to bring where somebody else has made them', async () => {
    expect(await refusing('AlreadyExists', 'is there')()).toMatchObject({ pinned: true, pinsMissing: undefined });
  });

  for (const code of ['Network', 'Fenced'] as const)
    it(`end the reconciliation by ${code}`, () => expect(refusing(code, 'x')()).rejects.toThrow(KubeError));

  it('end the reconciliation that is aborted', () =>
    expect(enforcing(() => Promise.reject(new DOMException('stop', 'AbortError')))()).rejects.toThrow('stop'));
});

describe('what is enforced', () => {
  const policy = (namespace: string, resourceVersion: string, spec: object) =>
    ({
      apiVersion: 'mcp-fleet.dev/v1alpha1',
      kind: 'MCPToolPolicy',
      metadata: { name: 'read', namespace, uid: namespace, resourceVersion, generation: 1 },
      spec: MCPToolPolicySpec.parse({ selector: {}, defaultAction: 'Deny', ...spec }),
    }) as MCPToolPolicy & KubeObject;

  it('is compiled again only when something changed', async () => {
    const stores = emptyStores();
    const enforcement = enforcementOf(stores, () => Promise.reject(new KubeError('AlreadyExists', 'is there')));
    const compiled = async (server = guarded) => (await enforcement.of(server, keyOf(server.metadata), true, signal))?.compiled;
    await compiled();
    const first = await compiled();
    expect(await compiled({ ...guarded, status: {} })).toBe(first);
    const changes: Record<string, () => MCPServer & KubeObject> = {
      'a policy of its namespace': () => (stores.policies.written(policy('agents', '2', {})), guarded),
      'a policy of the platform': () => (
        stores.policies.written(policy('mcp-fleet-system', '3', { namespaces: { matchNames: ['*'] } })), guarded
      ),
      'its labels': () => ({ ...guarded, metadata: { ...guarded.metadata, labels: { team: 'a' } } }),
      'its spec': () => ({ ...guarded, metadata: { ...guarded.metadata, generation: 2 } }),
    };
    let before = first;
    for (const [what, change] of Object.entries(changes)) {
      const server = change();
      const after = await compiled(server);
      expect(after, what).not.toBe(before);
      before = await compiled(server);
    }
    expect(before?.policies.map(({ namespace }) => namespace)).toEqual(['agents', 'mcp-fleet-system']);
    stores.policies.written(policy('elsewhere', '4', {}));
    expect(await compiled()).toMatchObject({ policies: [{ namespace: 'agents' }, { namespace: 'mcp-fleet-system' }] });
  });
});

describe('a server whose spec is refused', () => {
  const key = keyOf(guarded.metadata);
  const taken = () => Promise.reject(new KubeError('AlreadyExists', 'is there'));
  const headers = { remote: { url: 'https://mcp.example.com/mcp', headers: [{ name: 'X-Tenant', value: 'a' }] } };
  const accepted = server({ guard: { enabled: true }, ...headers }) as MCPServer & KubeObject;
  const refused = server({ guard: { enabled: true }, policy: { required: true } }) as MCPServer & KubeObject;

  /** Stores of a process in which the ConfigMap of `accepted` is what an earlier process applied. */
  async function restarted({ edited = false } = {}) {
    const stores = emptyStores();
    const made = await enforcementOf(stores, taken).of(accepted, key, true, signal);
    if (made === undefined) throw new Error('nothing was made');
    const bytes = made.compiled.files['bundle.json'] ?? '';
    stores.configMaps.written({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'github-policy',
        namespace: 'agents',
        uid: 'c1',
        resourceVersion: '7',
        ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: 'u1' }],
      },
      data: {
        ...made.compiled.files,
        ...made.headers,
        ...(edited && { 'bundle.json': bytes.replace('"required":false', '"required":true') }),
      },
    });
    const status = { policyDigest: made.compiled.digest } as MCPServer['status'];
    return { made, enforcement: enforcementOf(stores, taken), refused: { ...refused, ...(status !== undefined && { status }) } };
  }

  it('keeps what its guards were started for', async () => {
    const enforcement = enforcementOf(emptyStores(), taken);
    const before = await enforcement.of(accepted, key, true, signal);
    expect(await enforcement.of(refused, key, false, signal)).toMatchObject({
      guarded: true,
      headers: { 'header-remote-0': 'a' },
      compiled: { digest: before?.compiled.digest },
    });
  });

  it('keeps it across a restart of the operator', async () => {
    const { made, enforcement, refused: after } = await restarted();
    expect(await enforcement.of(after, key, false, signal)).toMatchObject({
      guarded: true,
      headers: { 'header-remote-0': 'a' },
      compiled: { digest: made.compiled.digest },
    });
  });

  it('takes over nothing that somebody wrote into the ConfigMap meanwhile', async () => {
    const { enforcement, refused: after } = await restarted({ edited: true });
    expect(await enforcement.of(after, key, false, signal)).toBeUndefined();
  });

  it('has nothing to enforce where no guard was ever started', async () => {
    expect(await enforcementOf(emptyStores(), taken).of(refused, key, false, signal)).toBeUndefined();
    const enforcement = enforcementOf(emptyStores(), taken);
    await enforcement.of(server(UNGUARDED), key, true, signal);
    expect(await enforcement.of(refused, key, false, signal)).toBeUndefined();
  });
});
