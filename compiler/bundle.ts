import type { Exposure } from '../api/exposure.ts';
import type { MCPServer } from '../api/mcpserver.ts';
import type { MCPToolPolicy } from '../api/mcptoolpolicy.ts';
import {
  type Ambient,
  type Bundle,
  BUNDLE_FILES,
  BUNDLE_VERSION,
  type IssuerKeys,
  isValid,
  type Pins,
  type Policy,
  type PolicyIdentity,
} from '../mcp/policy/bundle.ts';
import { bundleDigest } from '../mcp/policy/bundlecheck.ts';
import { policyName } from '../mcp/policy/merge.ts';
import { tierOf } from '../mcp/policy/selection.ts';
import { authentication } from './authentication.ts';
import { policyFormOf, PolicyProblem } from './form.ts';
import { type KnownObjects, warnings } from './warnings.ts';

/** What a ConfigMap holds, less some room for its metadata. */
const MAX_BYTES = 1_000_000;

export interface BundleInput {
  readonly server: MCPServer;
  /** All policies there are; those that do not select the server are left out. */
  readonly policies: readonly MCPToolPolicy[];
  /** Where the operator runs: policies there may form the platform tier. Absent outside a cluster. */
  readonly operatorNamespace: string | undefined;
  readonly clusterDomain: string;
  /** Issuer of this cluster's ServiceAccount tokens; absent while it is not known. */
  readonly clusterIssuer: string | undefined;
  readonly ambient: Ambient;
  /** Content of `<name>-pins`; absent while there is none. */
  readonly pins: Pins | undefined;
  /** Public keys per issuer, as far as they could be fetched. */
  readonly keys: IssuerKeys;
  /** Pods that share the limits, at least 1. */
  readonly replicas: number;
  /** The bundle that the guards hold: a policy that has become unreadable keeps its form there. */
  readonly previous: Bundle | undefined;
  /** What the server has, for warnings. */
  readonly known: KnownObjects;
  /** Milliseconds since 1970, for warnings alone: time does not change the bundle. */
  readonly now: number;
}

export interface CompiledBundle {
  readonly bundle: Bundle;
  /** The data of ConfigMap `<name>-policy`. The same wishes give the same bytes. */
  readonly files: Readonly<Record<string, string>>;
  /** What guards that run it report. Keys and replicas are not part of it. */
  readonly digest: string;
  /** The same for the issuers' keys. */
  readonly keysDigest: string;
  /** The policies that select the server, by name; `generation` is that in force. */
  readonly policies: readonly PolicyIdentity[];
  readonly invalid: readonly InvalidSelection[];
  /** By `namespace/name` of the policy. */
  readonly warnings: ReadonlyMap<string, readonly string[]>;
}

export interface InvalidSelection extends PolicyIdentity {
  readonly problem: string;
  /** True: the guards keep the form of an earlier generation. False: the server refuses. */
  readonly kept: boolean;
}

/** A bundle that does not fit into a ConfigMap. Only other policies or pins mend it. */
export class BundleSizeError extends Error {
  constructor(bytes: number) {
    super(`the policy bundle has ${bytes} bytes, more than the ${MAX_BYTES} that fit into a ConfigMap: use fewer or shorter patterns`);
    this.name = 'BundleSizeError';
  }
}

/**
 * What the guards of one server enforce: all policies that select it in both tiers, who may call, and the pins. Pure; independent of the order of
 * the policies. Throws `BundleSizeError`.
 */
export function compileBundle(input: BundleInput): CompiledBundle {
  const { server, ambient, pins, keys, replicas } = input;
  const { namespace = '', name, uid = '' } = server.metadata;
  const selected = input.policies
    .flatMap((policy) => select(policy, input) ?? [])
    .toSorted((a, b) => compare(policyName(a.policy), policyName(b.policy)));
  const bundle: Bundle = {
    version: BUNDLE_VERSION,
    server: { namespace, name, uid },
    settings: { hosts: hosts(server, input.clusterDomain), allowedOrigins: server.spec.expose.allowedOrigins ?? [] },
    authentication: authentication(server.spec.authentication, input.clusterIssuer),
    policy: { required: server.spec.policy.required, ambient, policies: selected.map(({ policy }) => policy) },
    ...(pins === undefined ? {} : { pins: sortedPins(pins) }),
  };
  const bytes = `${JSON.stringify(bundle)}\n`;
  const keysBytes = `${JSON.stringify(keys)}\n`;
  const files = {
    [BUNDLE_FILES.bundle]: bytes,
    [BUNDLE_FILES.keys]: keysBytes,
    [BUNDLE_FILES.replicas]: `${replicas}\n`,
  };
  const size = Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (size > MAX_BYTES) throw new BundleSizeError(size);
  return {
    bundle,
    files,
    digest: bundleDigest(bytes),
    keysDigest: bundleDigest(keysBytes),
    policies: selected.map(({ policy }) => identityOf(policy)),
    invalid: selected.flatMap(({ policy, problem }) =>
      problem === undefined ? [] : [{ ...identityOf(policy), problem, kept: isValid(policy) }],
    ),
    warnings: new Map(
      selected.map(({ policy, problem }) => [policyName(policy), problem === undefined ? policyWarnings(policy, input) : []]),
    ),
  };
}

interface Selected {
  readonly policy: Policy;
  /** Why the policy as it stands cannot be read. */
  readonly problem?: string;
}

/** The policy as the bundle holds it; `undefined` if it does not select the server. */
function select(stored: MCPToolPolicy, { server, operatorNamespace, previous }: BundleInput): Selected | undefined {
  const { namespace = '', name, generation = 0 } = stored.metadata;
  const { targetRefs, selector, namespaces } = stored.spec;
  const target = { namespace: server.metadata.namespace ?? '', name: server.metadata.name, labels: server.metadata.labels ?? {} };
  const selecting = { namespace, ...(targetRefs && { targetRefs }), ...(selector && { selector }), ...(namespaces && { namespaces }) };
  const tier = tierOf(selecting, target, operatorNamespace);
  if (tier === undefined) return undefined;
  const identity: PolicyIdentity = { namespace, name, generation, tier };
  try {
    return { policy: { ...identity, ...policyFormOf(stored, operatorNamespace) } };
  } catch (error) {
    if (!(error instanceof PolicyProblem)) throw error;
    const problem = error.message;
    const kept = previous?.policy.policies.find(
      (policy) => isValid(policy) && policyName(policy) === policyName(identity) && policy.tier === tier,
    );
    return { policy: kept ?? { ...identity, invalid: problem }, problem };
  }
}

function policyWarnings(policy: Policy, { server, known, pins, now }: BundleInput): readonly string[] {
  return isValid(policy) ? warnings(policy, server.metadata.name, known, server.spec.authentication, pins, now) : [];
}

const identityOf = ({ namespace, name, generation, tier }: PolicyIdentity): PolicyIdentity => ({ namespace, name, generation, tier });

/** Names under which callers reach the server: those of its Service and those that `expose` gives it. */
function hosts({ metadata, spec }: MCPServer, clusterDomain: string): readonly string[] {
  const { name, namespace = '' } = metadata;
  return [name, `${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.${clusterDomain}`, ...exposed(spec.expose)];
}

const exposed = ({ httpRoute, ingress }: Exposure): readonly string[] => [
  ...(httpRoute?.hostnames ?? []),
  ...(ingress === undefined ? [] : [ingress.host]),
];

/** In alphabetical order, so that equal pins are equal bytes. */
function sortedPins({ tools }: Pins): Pins {
  const sorted = Object.entries(tools).toSorted(([a], [b]) => compare(a, b));
  return { tools: Object.fromEntries(sorted.map(([name, digests]) => [name, digests.toSorted()])) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
