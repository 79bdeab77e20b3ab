import type { Bundle, Policy, ValidPolicy } from '../../mcp/policy/bundle.ts';
import { policy as plain } from '../../mcp/policy/testing/builders.ts';

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
export const policy = ({ access, ...parts }: Parameters<typeof plain>[0] = {}): ValidPolicy =>
  plain({
    methods: { ...plain().methods, serverRequests: { elicitation: 'Allow', sampling: 'Allow', roots: 'Allow' } },
    audit: { level: 'Metadata', redact: [], onFailure: 'Drop' },
    ...parts,
    access: { trustAnnotations: 'Always', ...access },
  });

export const READ_ONLY = policy({ access: { maximumClass: 'ReadOnly' } });
