import { stringify } from 'yaml';
import { API_VERSION } from '../api/group.ts';
import { printable } from '../mcp/excerpt.ts';
import { toolClass, type ToolClass } from '../mcp/inventory.ts';
import { danger } from '../mcp/policy/merge.ts';
import type { ListedTool } from '../mcp/tool-list.ts';

export interface PolicyDraftOptions {
  readonly server: string;
  readonly namespace: string;
  readonly maximumClass: ToolClass;
  readonly mode: 'Enforce' | 'Audit';
  readonly tools: readonly ListedTool[];
}

/** Bounds of the schema: patterns of a rule or override, length of a pattern. */
const PATTERNS = 64;
const LONGEST = 256;

/** A tool that a policy can name: `*` in a name would be a pattern. */
const isNameable = ({ name }: ListedTool): boolean => !name.includes('*') && name.length <= LONGEST && printable(name, LONGEST) === name;
const saysNothing = ({ hints, ambiguous }: ListedTool): boolean =>
  ambiguous === true || (hints.readOnly === undefined && hints.destructive === undefined);
const classOf = (tool: ListedTool): ToolClass => (tool.ambiguous === true ? 'Destructive' : toolClass(tool.hints));

/** A policy that allows, by name, the tools of a server up to a class, as YAML with comments for whoever goes on from here. */
export function policyDraft({ server, namespace, maximumClass, mode, tools }: PolicyDraftOptions): string {
  const named = tools.filter(isNameable);
  const allowed = named.filter((tool) => danger(classOf(tool)) <= danger(maximumClass));
  const above = tools.filter((tool) => !allowed.includes(tool));
  const silent = named.filter(saysNothing);
  return [
    `# Made of the ${tools.length} tools that ${server} lists. Read it, then: kubectl apply -f FILE`,
    `# Before that, see what it would do: mcp-fleet explain ${server} -f SERVER.yaml -f FILE`,
    `apiVersion: ${API_VERSION}`,
    'kind: MCPToolPolicy',
    'metadata:',
    `  name: ${server}`,
    `  namespace: ${namespace}`,
    'spec:',
    '  targetRefs:',
    `    - name: ${server}`,
    ...(mode === 'Audit'
      ? ['  # Refuses nothing yet: the audit records say wouldDeny. Enforce it by removing this line.', '  mode: Audit']
      : []),
    '  # What no rule names is refused, also tools that the server gets later.',
    '  defaultAction: Deny',
    '  access:',
    '    # Nothing above this class passes, whatever the rules say.',
    `    maximumClass: ${maximumClass}`,
    "    # The server's own hints count while a tool is as it was pinned. Never: only the overrides below count.",
    '    trustAnnotations: Pinned',
    ...overrideLines(silent),
    ...ruleLines(allowed),
    ...(above.length === 0
      ? []
      : [`  # Above ${maximumClass}, and so in no rule:`, ...above.map((tool) => `  # - ${printable(tool.name, 80)}${comment(tool)}`)]),
    '',
  ].join('\n');
}

/** Tools that say nothing count as Destructive anyway: written out, so that a reader can judge them one by one. */
function overrideLines(silent: readonly ListedTool[]): readonly string[] {
  if (silent.length === 0) return [];
  return [
    '    # These say nothing of themselves, so they count as Destructive. For what you know to be harmless, say ReadOnly or NonDestructive,',
    '    # and name it in a rule.',
    '    overrides:',
    ...chunks(silent).flatMap((tools) => [
      '      - class: Destructive',
      '        tools:',
      ...tools.map((tool) => `          - ${quoted(tool.name)}`),
    ]),
  ];
}

function ruleLines(allowed: readonly ListedTool[]): readonly string[] {
  return [
    '  rules:',
    ...chunks(allowed).flatMap((tools, number) => [
      `    - name: tools${number === 0 ? '' : `-${number + 1}`}`,
      '      effect: Allow',
      '      tools:',
      ...tools.map((tool) => `        - ${quoted(tool.name)}${comment(tool)}`),
    ]),
    '    # Prompts and resources have no class. Remove what is not to be used.',
    '    - name: prompts-and-resources',
    '      effect: Allow',
    '      prompts: ["*"]',
    '      resources: ["**"]',
  ];
}

function chunks(tools: readonly ListedTool[]): readonly (readonly ListedTool[])[] {
  return Array.from({ length: Math.ceil(tools.length / PATTERNS) }, (_, number) => tools.slice(number * PATTERNS, (number + 1) * PATTERNS));
}

const quoted = (name: string): string => stringify(name, { lineWidth: 0 }).trim();

/** Class and title; what the server says of itself cannot leave the comment. */
function comment(tool: ListedTool): string {
  const { title } = tool;
  return ` # ${classOf(tool)}${saysNothing(tool) ? ', as it says nothing' : ''}${title === undefined ? '' : `: ${printable(title, 80)}`}`;
}
