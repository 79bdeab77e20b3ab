import { describe, expect, it } from 'vitest';
import { listedInventory } from '../../../mcp/tool-list.ts';
import { toolInventory } from '../../../mcp/inventory.ts';
import type { Client } from '../../kube/client.ts';
import { KubeError, type KubeErrorCode } from '../../kube/errors.ts';
import { keyOf, type KubeObject, type Resource } from '../../kube/object.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { ObjectStore } from '../../runtime/store.ts';
import { server } from './builders.ts';
import { issuerWorld } from '../issuer/testing/world.ts';
import { Enforcement } from './enforcement.ts';
import { ServerKeys } from './issuerkeys.ts';
import { watchStores } from './stores.ts';

const guarded = server({ guard: { enabled: true } }) as MCPServer & KubeObject;
const inventory = listedInventory(toolInventory([{ name: 'read', inputSchema: {}, annotations: { readOnlyHint: true } }]));

function enforcing(create: () => Promise<KubeObject>) {
  const stores = watchStores(
    { watch: (resource: Resource) => new ObjectStore(resource.plural) },
    { secretRotation: false, clusterRoles: [], referenceKeys: () => [] },
  );
  const client = { create } as unknown as Client;
  const enforcement = new Enforcement({
    client,
    stores,
    serverKeys: new ServerKeys(client, issuerWorld({}).issuers, stores.existing.ConfigMap),
    settings: { operatorNamespace: 'mcp-fleet-system', clusterDomain: 'cluster.local', ambient: 'Deny' },
    inventory: () => inventory,
    now: () => new Date('2026-01-01T00:00:00Z'),
  });
  return () => enforcement.of(guarded, keyOf(guarded.metadata), new AbortController().signal);
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
