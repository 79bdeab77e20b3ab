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
import { type Content, MAX_BYTES, oversizeMessage, refusal, substitutes } from './oversize.ts';
import { type KnownObjects, warnings } from './warnings.ts';

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
  /** The spec of the server is refused: what comes of it stays as it is in `previous`, for which the guards were started. */
  readonly refused?: boolean;
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
  /** Why not all that is wanted is in the bundle: it does not fit. With what holds instead, and who must act. */
  readonly oversized: string | undefined;
}

export interface InvalidSelection extends PolicyIdentity {
  readonly problem: string;
  /** True: the guards keep the form of an earlier generation. False: the server refuses. */
  readonly kept: boolean;
}

/**
 * What the guards of one server enforce: all policies that select it in both tiers, who may call, and the pins. Pure; independent of the order of
 * the policies.
 */
export function compileBundle(input: BundleInput): CompiledBundle {
  const { server, pins } = input;
  const selected = input.policies.flatMap((policy) => select(policy, input) ?? []).toSorted((a, b) => byName(a.policy, b.policy));
  const wanted: Content = { policies: selected.map(({ policy }) => policy), pins: pins && sortedPins(pins) };
  const whole = written(wanted, input);
  const { bundle, files, oversized } = whole.bytes <= MAX_BYTES ? { ...whole, oversized: undefined } : reduced(wanted, whole.bytes, input);
  return {
    bundle,
    files,
    digest: bundleDigest(files[BUNDLE_FILES.bundle]),
    keysDigest: bundleDigest(files[BUNDLE_FILES.keys]),
    policies: bundle.policy.policies.map(identityOf),
    invalid: selected.flatMap(({ policy, problem }) =>
      problem === undefined ? [] : [{ ...identityOf(policy), problem, kept: isValid(policy) }],
    ),
    warnings: new Map(
      selected.map(({ policy, problem }) => [
        policyName(policy),
        [
          ...(oversized === undefined ? [] : [`${server.metadata.namespace}/${server.metadata.name}: ${oversized}`]),
          ...(problem === undefined ? policyWarnings(policy, input) : []),
        ],
      ]),
    ),
    oversized,
  };
}

interface Written {
  readonly bundle: Bundle;
  readonly files: Readonly<Record<(typeof BUNDLE_FILES)[keyof typeof BUNDLE_FILES], string>>;
  readonly bytes: number;
}

function written({ policies, pins }: Content, input: BundleInput): Written {
  const { server, ambient, keys, replicas } = input;
  const { namespace = '', name, uid = '' } = server.metadata;
  const { settings, authentication, required } = ofSpec(input);
  const bundle: Bundle = {
    version: BUNDLE_VERSION,
    server: { namespace, name, uid },
    settings,
    authentication,
    policy: { required, ambient, policies: policies.toSorted(byName) },
    ...(pins === undefined ? {} : { pins }),
  };
  const files = {
    [BUNDLE_FILES.bundle]: `${JSON.stringify(bundle)}\n`,
    [BUNDLE_FILES.keys]: `${JSON.stringify(keys)}\n`,
    [BUNDLE_FILES.replicas]: `${replicas}\n`,
  };
  return { bundle, files, bytes: Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0) };
}

function ofSpec({ server, clusterDomain, clusterIssuer, previous, refused }: BundleInput) {
  const { spec } = server;
  if (refused === true && previous !== undefined) return { ...previous, required: previous.policy.required };
  return {
    settings: { hosts: hosts(server, clusterDomain), allowedOrigins: spec.expose.allowedOrigins ?? [] },
    authentication: authentication(spec.authentication, clusterIssuer),
    required: spec.policy.required,
  };
}

/** The best substitute that fits; should nothing fit beside the keys of issuers, then none of those either. */
function reduced(wanted: Content, bytes: number, input: BundleInput): Written & { readonly oversized: string } {
  const told = `${oversizeMessage(bytes, wanted, input.keys, input.server.metadata.name)}; until then`;
  for (const content of substitutes(wanted, input.previous)) {
    const candidate = written(content, input);
    if (candidate.bytes <= MAX_BYTES) return { ...candidate, oversized: `${told} ${content.consequence}` };
  }
  const content = refusal(wanted);
  return { ...written(content, { ...input, keys: { issuers: {} } }), oversized: `${told} ${content.consequence}` };
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

const byName = (a: Policy, b: Policy): number => compare(policyName(a), policyName(b));

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
