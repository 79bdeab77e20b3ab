import type { Bundle, Policy, ValidPolicy } from '../../mcp/policy/bundle.ts';

/** Parts of a bundle that a test cares about; everything else is what a server without policies has. */
export interface BundleParts {
  readonly policies?: readonly Policy[];
  readonly required?: boolean;
  readonly authentication?: Partial<Bundle['authentication']>;
  readonly settings?: Partial<Bundle['settings']>;
  readonly pins?: Bundle['pins'];
}

export function bundle(parts: BundleParts = {}): Bundle {
  return {
    version: 1,
    server: { namespace: 'agents', name: 'test', uid: '5b0d5b1e-0000-4000-8000-000000000001' },
    settings: { hosts: ['test.agents.svc.cluster.local'], allowedOrigins: [], ...parts.settings },
    authentication: { type: 'None', anonymous: false, jwt: [], apiKeys: false, forward: { type: 'None' }, ...parts.authentication },
    policy: { required: parts.required ?? false, ambient: 'Allow', policies: parts.policies ?? [] },
    ...(parts.pins === undefined ? {} : { pins: parts.pins }),
  };
}

/** A policy of the server's own namespace that allows everything but what the test says. */
export function policy(parts: Partial<ValidPolicy> = {}): ValidPolicy {
  return {
    namespace: 'agents',
    name: 'policy',
    generation: 1,
    tier: 'namespace',
    mode: 'Enforce',
    defaultAction: 'Allow',
    access: { maximumClass: 'Destructive', trustAnnotations: 'Always', overrides: [] },
    rules: [],
    methods: {
      completion: 'Allow',
      logging: 'Allow',
      subscriptions: 'Allow',
      tasks: 'BoundToCaller',
      unknown: 'Deny',
      serverRequests: { elicitation: 'Allow', sampling: 'Allow', roots: 'Allow' },
    },
    limits: { rate: [], concurrency: {} },
    pinning: 'Warn',
    audit: { level: 'Metadata', redact: [], onFailure: 'Drop' },
    hiddenAnswer: 'NotFound',
    ...parts,
  };
}

export const READ_ONLY = policy({ access: { maximumClass: 'ReadOnly', trustAnnotations: 'Always', overrides: [] } });
