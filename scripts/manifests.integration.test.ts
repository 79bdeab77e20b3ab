import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS } from '../api/kinds.ts';
import { MCPServerSpec } from '../api/mcpserver.ts';
import { type RunningOperator, verifiedBy, World } from '../e2e/operator-world.ts';
import { MCPServers } from '../operator/controllers/mcpserver/stores.ts';
import { type CodeBlock, codeBlocks, pages } from './docs.ts';
import { ROOT } from './sources.ts';

interface Manifest {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name: string; readonly namespace?: string };
  readonly spec?: Readonly<Record<string, unknown>>;
}

let world: World;
let operator: RunningOperator;

beforeAll(async () => {
  world = await World.start({ name: 'manifests' });
  operator = await world.operator();
});
afterAll(async () => {
  await operator?.stop();
  await world?.[Symbol.asyncDispose]();
});

const EXAMPLES = join(ROOT, 'examples');
const strictly = ['apply', '--server-side', '--validate=strict', '--warnings-as-errors'];

describe('examples', async () => {
  const files = (await readdir(EXAMPLES)).filter((file) => file.endsWith('.yaml'));

  test.each(files)('%s is accepted and becomes Ready', { timeout: 90_000 }, async (file) => {
    const namespace = await world.namespace(`example-${file.replace('.yaml', '')}`);
    const names = (await world.kubectl([...strictly, '-n', namespace, '-o', 'name', '-f', join(EXAMPLES, file)])).split('\n');
    const servers = names.filter((name) => name.startsWith('mcpserver.')).map((name) => name.split('/')[1] ?? '');
    expect(servers).not.toEqual([]);
    for (const name of servers) await becomesReady(namespace, name);
  });

  // What they allow and refuse is seen on a cluster with pods: e2e/suites/policies.
  const policies = await readdir(join(EXAMPLES, 'policies'));

  test.each(policies)('policies/%s is accepted', async (file) => {
    const path = join(EXAMPLES, 'policies', file);
    const [document] = parseAllDocuments(await readFile(path, 'utf8'));
    const { metadata } = (document?.toJSON() ?? {}) as Manifest;
    const namespace = await world.namespace(metadata?.namespace ?? `policy-${file.replace('.yaml', '')}`);
    const names = await world.kubectl([...strictly, '--dry-run=server', '-n', namespace, '-o', 'name', '-f', path]);
    expect(names).toContain('mcptoolpolicy.');
  });

  test('quickstart is accepted and becomes Ready', { timeout: 90_000 }, async () => {
    await world.kubectl([...strictly, '-k', join(EXAMPLES, 'quickstart')]);
    const { items } = await world.client.list(MCPServers, { namespace: 'mcp-quickstart' });
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual(['everything', 'from-npm', 'kubernetes']);
    for (const { metadata } of items) await becomesReady('mcp-quickstart', metadata.name);
  });
});

/** With servers that answer MCP and list every tool that is required. */
async function becomesReady(namespace: string, name: string): Promise<void> {
  const { spec } = await world.get(MCPServers, { namespace, name });
  world.answers.set(name, verifiedBy(...(spec.verification.requiredTools ?? ['echo'])));
  await world.ready(namespace, name);
}

const blocks = (await pages()).flatMap(codeBlocks).filter(({ language }) => language === 'yaml');
const documents = blocks.flatMap((block) =>
  parseAllDocuments(block.text).map((document, index) => ({
    at: `${block.page}:${block.line}${index === 0 ? '' : `, document ${index + 1}`}`,
    manifest: (document.toJSON() ?? {}) as Manifest,
  })),
);
const specMembers = new Set(Object.keys(MCPServerSpec.shape));
const sources = ['container', 'package', 'remote', 'service'];

/** A block may show only `spec`, of an MCPServer or of an MCPToolPolicy. It is completed. */
function whole(manifest: Manifest): Manifest {
  const { kind, spec } = manifest;
  if (kind !== undefined || spec === undefined) return manifest;
  const isServer = Object.keys(spec).every((member) => specMembers.has(member));
  const source = sources.some((member) => member in spec) ? {} : { container: { image: 'example.com/echo:1' } };
  return {
    apiVersion: 'mcp-fleet.dev/v1alpha1',
    kind: isServer ? 'MCPServer' : 'MCPToolPolicy',
    metadata: { name: 'shown' },
    spec: { ...(isServer && source), ...spec },
  };
}

const OPERATOR = 'system:serviceaccount:mcp-fleet-system:mcp-fleet-operator';

/** Of tools that are not in this cluster. Kinds of ours that are not installed yet are left out as well. */
const foreign = /^(argoproj\.io|kustomize\.toolkit\.fluxcd\.io|kustomize\.config\.k8s\.io)\//;

const shown = documents.map(({ at, manifest }) => ({ at, manifest: whole(manifest) }));
const shownServers = shown.filter(({ manifest }) => manifest.kind === 'MCPServer');
const known = ({ kind, apiVersion = '' }: Manifest): boolean =>
  apiVersion.startsWith('mcp-fleet.dev/') ? KINDS.some((installed) => installed.kind === kind) : !foreign.test(apiVersion);
/** What has no kind is the configuration of a tool. */
const shownOthers = shown.filter(({ manifest }) => manifest.kind !== undefined && manifest.kind !== 'MCPServer' && known(manifest));

describe('pages show manifests that are true', () => {
  test.each(shownServers)('the MCPServer of $at is accepted by API server and operator', async ({ at, manifest }) => {
    const namespace = await world.namespace(`page-${at.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`.slice(-60).replace(/^-/, ''));
    const name = manifest.metadata?.name ?? '';
    await world.kubectl([...strictly, '-f', '-'], JSON.stringify({ ...manifest, metadata: { name, namespace } }));
    const accepted = await vi.waitFor(
      async () => {
        const condition = await world.condition(namespace, name, 'Accepted');
        if (condition === undefined) throw new Error('no status yet');
        return condition;
      },
      { timeout: 20_000, interval: 20 },
    );
    // What it names is somewhere else.
    if (accepted.reason !== 'ReferenceNotFound') expect(accepted).toMatchObject({ status: 'True' });
    await world.kubectl(['delete', 'mcps', name, '-n', namespace, '--wait=false']);
  });

  test.each(shownOthers)('the $manifest.kind of $at is accepted', async ({ manifest }) => {
    const { namespace = 'default' } = manifest.metadata ?? {};
    if (namespace !== 'default') await world.namespace(namespace);
    // Admission looks for it; the page has it made before.
    const account = manifest.kind === 'Pod' ? manifest.spec?.['serviceAccountName'] : undefined;
    if (typeof account === 'string') await world.kubectl(['create', 'serviceaccount', account, '-n', namespace]);
    await world.kubectl([...strictly, '--dry-run=server', '-f', '-'], JSON.stringify(manifest));
  });
});

/** An expression of Flux sees the members of an object, one of an admission policy the object: the language is the same. */
test('healthCheckExprs of docs/how-to/gitops.md are expressions that an API server compiles', async () => {
  const expressions = shown.flatMap(({ manifest }) => (manifest.spec?.['healthCheckExprs'] ?? []) as readonly Record<string, string>[]);
  const validations = expressions
    .flatMap(({ inProgress = '', failed = '', current = '' }) => [inProgress, failed, current])
    .map((expression) => ({ expression: expression.replaceAll(/\b(status|metadata)\./g, 'object.$1.') }));
  expect(validations).toHaveLength(3);
  const rule = { apiGroups: ['mcp-fleet.dev'], apiVersions: ['*'], operations: ['CREATE'], resources: ['mcpservers'] };
  const policy = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'flux' },
    spec: { matchConstraints: { resourceRules: [rule] }, validations },
  };
  await world.kubectl([...strictly, '--dry-run=server', '-f', '-'], JSON.stringify(policy));
});

describe('overlays of docs/install.md', () => {
  const kustomizations = blocks.filter(({ page, text }) => page === 'docs/install.md' && text.includes('kind: Kustomization'));
  const others = blocks.filter(({ page, text }) => page === 'docs/install.md' && !text.includes('kind: Kustomization'));

  test('there are some', () => expect(kustomizations.length).toBeGreaterThan(2));

  test.each(kustomizations)('that of line $line renders', async (kustomization) => {
    expect(await rendered(kustomization, others)).toContain('kind: Deployment');
  });

  test('for some namespaces: the operator works there, with Roles alone, and nowhere else', { timeout: 90_000 }, async () => {
    const overlay = kustomizations.find(({ text }) => text.includes('--namespaces='));
    if (overlay === undefined) throw new Error('docs/install.md no longer has one');
    await operator.stop();
    await world.kubectl(['delete', 'clusterrolebinding', 'mcp-fleet-operator', 'mcp-fleet-grantable']);
    await world.namespace('team-a');
    await world.namespace('team-b');
    const manifest = await rendered(overlay, others);
    expect(manifest).toContain('- --namespaces=team-a');
    await world.apply(manifest);
    operator = await world.operator({ namespaces: ['team-a'] });

    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }];
    await world.server('team-a', 'inside', { kubernetesAccess: { rules, clusterRoles: ['view'] } });
    await world.server('team-b', 'outside');
    await world.ready('team-a', 'inside');
    expect(await world.condition('team-b', 'outside', 'Ready')).toBeUndefined();
    const may = (...request: readonly string[]) => world.kubectl(['auth', 'can-i', ...request, `--as=${OPERATOR}`]).catch(() => 'no');
    expect(await may('create', 'deployments', '-n', 'team-a')).toContain('yes');
    expect(await may('create', 'deployments', '-n', 'team-b')).toBe('no');
    expect(await may('create', 'clusterrolebindings')).toBe('no');
  });
});

/** What kustomize makes of a block and the files that it names, with the base of this checkout. */
async function rendered(kustomization: CodeBlock, files: readonly CodeBlock[]): Promise<string> {
  // macOS keeps temporary files behind a link, which relative paths would not survive; under the root none is in the way.
  const folder = await mkdtemp(join(process.platform === 'linux' ? tmpdir() : ROOT, 'overlay-'));
  try {
    for (const file of [kustomization, ...files]) {
      const [, name] = /^# ([a-z-]+\.yaml)/.exec(file.text) ?? [];
      if (name === undefined) throw new Error(`${file.page}:${file.line} does not say its file name in its first line`);
      if (file !== kustomization && name === 'kustomization.yaml') continue;
      await writeFile(
        join(folder, name),
        file.text.replaceAll(/\.\.\/mcp-fleet-operator\/(config\/\S+)/g, (_, base: string) => relative(folder, join(ROOT, base))),
      );
    }
    return await world.kubectl(['kustomize', folder]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
