import { z } from 'zod';
import { JSONPointer } from './argumenttest.ts';
import { type API_VERSION, GROUP } from './group.ts';
import { Conditions } from './kubernetes/condition.ts';
import { LabelSelector } from './kubernetes/selector.ts';
import type { ObjectMeta } from './object.ts';
import { PolicyLimits } from './policylimits.ts';
import { Access, PolicyRules } from './policyrule.ts';
import { listMap, listSet, rules, saying } from './schema/markers.ts';
import type { Plain } from './schema/plain.ts';

const TargetRef = z.object({
  group: z.enum([GROUP]).default(GROUP).describe(`API group of the target. Default: ${GROUP}.`),
  kind: z.enum(['MCPServer']).default('MCPServer').describe('Kind of the target. Default: MCPServer.'),
  name: z
    .string()
    .max(52)
    .regex(/^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$/)
    .meta(saying('must be the name of an MCPServer: at most 52 lower-case letters, digits and hyphens, a letter first'))
    .describe('Name of the MCPServer, in the namespace of the policy or, with namespaces, in each of those.'),
});

const PolicyNamespaces = z.object({
  matchNames: z
    .array(
      z
        .string()
        .max(63)
        .regex(/^[-*a-z0-9]+$/)
        .meta(saying('must be a name of namespaces: lower-case letters, digits, hyphens, and * for any run of them')),
    )
    .min(1)
    .max(64)
    .meta(listSet)
    .describe('Names of namespaces, * is any run of characters.'),
});

/** Guards and operator compile them while they do nothing else, a millisecond or so each. */
const MAX_EXPRESSIONS = 64;
const expressionsIn = (list: string, tests: string) =>
  `(has(self.${list}) ? self.${list}.map(each, has(each.${tests}) ? each.${tests}.filter(test, test.operator == 'Matches').size() : 0).sum() : 0)`;

const action = z.enum(['Allow', 'Deny']);

const ServerRequests = z.object({
  elicitation: action.default('Allow').describe('Questions to the user. Default: Allow.'),
  sampling: action.default('Deny').describe("Use of the client's model. Default: Deny."),
  roots: action.default('Deny').describe("The client's directories. Default: Deny."),
});

const Methods = z.object({
  completion: action.default('Allow').describe('completion/complete, for what the caller may use. Default: Allow.'),
  logging: action.default('Allow').describe('logging/setLevel. Default: Allow.'),
  subscriptions: action
    .default('Allow')
    .describe('resources/subscribe and subscriptions/listen, for what the caller may read. Default: Allow.'),
  tasks: z
    .enum(['BoundToCaller', 'Deny'])
    .default('BoundToCaller')
    .describe('tasks/*. BoundToCaller: each caller reaches the tasks that it began. Default: BoundToCaller.'),
  unknown: action.default('Deny').describe('Methods that MCP does not define. Default: Deny.'),
  serverRequests: ServerRequests.prefault({}).describe('What the server may ask of its clients. Default: elicitation alone.'),
});

const Audit = z.object({
  level: z
    .enum(['None', 'Metadata', 'Arguments'])
    .default('Metadata')
    .describe('What is recorded of a call. Arguments: also its arguments, redacted. Default: Metadata.'),
  redact: z
    .array(JSONPointer)
    .max(64)
    .meta(listSet)
    .optional()
    .describe('Arguments that are never recorded, as JSON Pointers; * is every element, ** any depth. Default: none.'),
  onFailure: z
    .enum(['Block', 'Drop'])
    .default('Block')
    .describe(
      'While records cannot be written. Block: destructive calls are refused. Drop: they pass, and the gap is recorded. Default: Block.',
    ),
});

export const MCPToolPolicySpec = z
  .object({
    targetRefs: z
      .array(TargetRef)
      .min(1)
      .max(64)
      .meta(listMap('group', 'kind', 'name'))
      .optional()
      .describe('MCPServers by name. Exactly one of targetRefs and selector.'),
    selector: LabelSelector.optional().describe('MCPServers by label; {} is all. Exactly one of targetRefs and selector.'),
    namespaces: PolicyNamespaces.optional().describe(
      "Makes this a policy of the platform tier, for servers of these namespaces; only in the operator's own namespace. Default: the servers beside the policy.",
    ),
    mode: z
      .enum(['Enforce', 'Audit'])
      .default('Enforce')
      .describe('Audit: decides nothing, and records what it would have refused. Default: Enforce.'),
    defaultAction: action.describe('What happens to what no rule mentions. Of several policies Deny wins.'),
    access: Access.prefault({}).describe('How dangerous a tool may be. Default: no ceiling.'),
    rules: PolicyRules.optional().describe('Who may use what. Their order does not matter; a matching Deny wins. Default: none.'),
    methods: Methods.prefault({}).describe('Methods besides those of tools, prompts and resources. Default: those of MCP.'),
    limits: PolicyLimits.prefault({}).describe(
      "Rates, concurrency, sizes and times. Of several policies all hold. Default: the guard's own.",
    ),
    pinning: z
      .enum(['Off', 'Warn', 'Block'])
      .default('Warn')
      .describe('What happens to a tool whose definition changed since it was pinned, until it is approved. Default: Warn.'),
    audit: Audit.prefault({}).describe('What is recorded. Default: metadata of every request.'),
    hiddenAnswer: z
      .enum(['NotFound', 'Refused'])
      .default('NotFound')
      .describe('How a tool that the caller may never use is answered. NotFound: like one that does not exist. Default: NotFound.'),
  })
  .meta(
    rules(
      {
        rule: 'has(self.targetRefs) != has(self.selector)',
        message: 'say which servers: set exactly one of targetRefs and selector (selector: {} is all)',
      },
      {
        rule: `${expressionsIn('rules', 'arguments')} + ${expressionsIn('access.overrides', 'unless')} <= ${MAX_EXPRESSIONS}`,
        message: `a policy has at most ${MAX_EXPRESSIONS} tests with Matches: use In, Prefix or Glob, or write several policies`,
      },
    ),
  );

/** The spec as the API server stores it: defaults are filled in. */
export type MCPToolPolicySpec = Plain<z.output<typeof MCPToolPolicySpec>>;
/** The spec as a user writes it. */
export type MCPToolPolicySpecInput = Plain<z.input<typeof MCPToolPolicySpec>>;

const Targets = z.object({
  total: z.int32().min(0).describe('Servers that the policy selects.'),
  current: z.int32().min(0).describe('Those of which all guards enforce it.'),
  notCurrent: z.array(z.string().max(128)).max(20).optional().describe('The first 20 of the others, as namespace/name.'),
});

export const MCPToolPolicyStatus = z.object({
  observedGeneration: z.int().min(0).optional().describe('metadata.generation that this status speaks of.'),
  conditions: Conditions.optional().describe('Ready, Accepted, Programmed; Stalled only while true.'),
  targets: Targets.optional().describe('Servers that the policy selects.'),
  warnings: z.array(z.string().max(1024)).max(64).optional().describe('What is accepted but probably not meant.'),
});
export type MCPToolPolicyStatus = Plain<z.output<typeof MCPToolPolicyStatus>>;

export interface MCPToolPolicy {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'MCPToolPolicy';
  readonly metadata: ObjectMeta;
  readonly spec: MCPToolPolicySpec;
  readonly status?: MCPToolPolicyStatus;
}
