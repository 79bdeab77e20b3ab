import type { Hints } from '../../inventory.ts';
import type { Bundle, PolicySet, Rule, ValidPolicy } from '../bundle.ts';
import type { Caller } from '../caller.ts';
import type { PolicyObject } from '../engine.ts';
import type { ToolFacts } from '../toolclass.ts';

/** A namespace-tier policy that allows everything; give what the test is about. */
export function policy(part: Partial<Omit<ValidPolicy, 'access'>> & { access?: Partial<ValidPolicy['access']> } = {}): ValidPolicy {
  const { access, ...rest } = part;
  return {
    namespace: 'agents',
    name: 'policy',
    generation: 1,
    tier: 'namespace',
    mode: 'Enforce',
    defaultAction: 'Allow',
    rules: [],
    methods: {
      completion: 'Allow',
      logging: 'Allow',
      subscriptions: 'Allow',
      tasks: 'BoundToCaller',
      unknown: 'Deny',
      serverRequests: { elicitation: 'Allow', sampling: 'Deny', roots: 'Deny' },
    },
    limits: { rate: [], concurrency: {} },
    pinning: 'Warn',
    audit: { level: 'Metadata', redact: [], onFailure: 'Block' },
    hiddenAnswer: 'NotFound',
    ...rest,
    access: { maximumClass: 'Destructive', trustAnnotations: 'Pinned', overrides: [], ...access },
  };
}

/** An Allow rule for everything; give what the test is about. */
export const rule = (part: Partial<Rule> = {}): Rule => ({ name: 'rule', effect: 'Allow', arguments: [], ...part });

export function bundle(policies: PolicySet['policies'], part: Partial<Omit<PolicySet, 'policies'>> & Pick<Bundle, 'pins'> = {}): Bundle {
  const { pins, ...set } = part;
  return {
    version: 1,
    server: { namespace: 'agents', name: 'github', uid: 'u1' },
    settings: { hosts: [], allowedOrigins: [] },
    authentication: { type: 'None', anonymous: true, jwt: [], apiKeys: false, forward: { type: 'None' } },
    policy: { required: false, ambient: 'Allow', policies, ...set },
    ...(pins === undefined ? {} : { pins }),
  };
}

export const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`;

export function facts(hints: Partial<Hints> = {}, digest = digestOf('a')): ToolFacts {
  return { hints: { readOnly: undefined, destructive: undefined, idempotent: undefined, openWorld: undefined, ...hints }, digest };
}

export const tool = (name: string, hints: Partial<Hints> = {}, digest = digestOf('a')): PolicyObject => ({
  type: 'tool',
  name,
  facts: facts(hints, digest),
});

export const anonymous: Caller = { type: 'anonymous' };
export const ciBot: Caller = { type: 'apiKey', user: 'ci-bot' };
export const triage: Caller = { type: 'serviceAccount', namespace: 'agents', name: 'triage' };
export const issuer = 'https://idp.example.com';

export const human = (groups: readonly string[] | undefined, scopes: readonly string[] = []): Caller => ({
  type: 'jwt',
  issuer,
  subject: 'u1',
  scopes,
  ...(groups === undefined ? {} : { groups }),
});
