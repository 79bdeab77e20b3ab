import { MCPServerSpec, MCPServerStatus } from './mcpserver.ts';
import { MCPToolPolicySpec, MCPToolPolicyStatus } from './mcptoolpolicy.ts';
import type { Column, Kind } from './schema/crd.ts';

const condition = (type: string, member: 'status' | 'reason') => `.status.conditions[?(@.type=="${type}")].${member}`;

const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

export const MCPSERVER: Kind = {
  kind: 'MCPServer',
  plural: 'mcpservers',
  singular: 'mcpserver',
  shortNames: ['mcps'],
  description: 'Runs and exposes one MCP server: hardened, verified by real MCP handshakes, its tools listed in status.',
  spec: MCPServerSpec,
  status: MCPServerStatus,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status') },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason') },
    { name: 'Transport', type: 'string', jsonPath: '.spec.transport.type' },
    { name: 'Tools', type: 'integer', jsonPath: '.status.tools.total' },
    { name: 'Policy', type: 'string', jsonPath: condition('PolicyApplied', 'reason') },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas' },
    AGE,
    { name: 'URL', type: 'string', jsonPath: '.status.address.url', priority: 1 },
    { name: 'Version', type: 'string', jsonPath: '.status.server.version', priority: 1 },
    { name: 'Image', type: 'string', jsonPath: '.spec.container.image', priority: 1 },
  ],
  rules: [
    {
      rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
      message:
        'must begin with a letter, end with a letter or digit and have at most 52 lower-case letters, digits and hyphens: a Service and other objects are named after it',
      fieldPath: '.metadata.name',
    },
  ],
};

export const MCPTOOLPOLICY: Kind = {
  kind: 'MCPToolPolicy',
  plural: 'mcptoolpolicies',
  singular: 'mcptoolpolicy',
  shortNames: ['mcptp'],
  description: 'Decides which tools, prompts and resources of which servers may be used by whom, enforced by the guards of those servers.',
  spec: MCPToolPolicySpec,
  status: MCPToolPolicyStatus,
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status') },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason') },
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode' },
    { name: 'Maximum', type: 'string', jsonPath: '.spec.access.maximumClass' },
    { name: 'Default', type: 'string', jsonPath: '.spec.defaultAction' },
    { name: 'Targets', type: 'integer', jsonPath: '.status.targets.total' },
    { name: 'Current', type: 'integer', jsonPath: '.status.targets.current' },
    AGE,
  ],
};

/** Every kind that is installed: it gets its CRD, its reference, its schema for editors and its roles for users. */
export const KINDS: readonly Kind[] = [MCPSERVER, MCPTOOLPOLICY];
