import { z } from 'zod';
import { ArgumentTest, ClassException, ToolClass } from './argumenttest.ts';
import { PolicySubject } from './policysubject.ts';
import { listMap, listSet, rules } from './schema/markers.ts';
import { DNSLabel } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';

/** Globs over names: `*` is any run of characters, everything else literal. */
export const NameGlobs = z.array(z.string().min(1).max(256)).min(1).max(64).meta(listSet);

const ResourceGlobs = z.array(z.string().min(1).max(1024)).min(1).max(64).meta(listSet);

export const PolicyRule = z
  .object({
    name: DNSLabel.describe('Name of the rule; shown in audit records and explanations.'),
    effect: z.enum(['Allow', 'Deny']).describe('What happens to what matches. A Deny rule wins over every Allow rule.'),
    subjects: z
      .array(PolicySubject)
      .min(1)
      .max(32)
      .optional()
      .describe(
        'Callers for whom the rule holds: any entry; inside an entry everything must hold. Default: everyone, anonymous callers too.',
      ),
    tools: NameGlobs.optional().describe(
      'Tools by name, * is any run of characters. Default: none, but if resources and prompts are left out too, everything.',
    ),
    resources: ResourceGlobs.optional().describe(
      'Resources by URI, * within a segment, ** across. Default: none, but if tools and prompts are left out too, everything.',
    ),
    prompts: NameGlobs.optional().describe(
      'Prompts by name, * is any run of characters. Default: none, but if tools and resources are left out too, everything.',
    ),
    arguments: z.array(ArgumentTest).min(1).max(16).optional().describe('Tests of the arguments; all must hold. Default: none.'),
    notAfter: z.iso.datetime({ offset: true }).optional().describe('The rule holds until then. Default: always.'),
    message: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe(
        'Told to the caller of a visible tool that this rule refuses, or would have allowed with other arguments. Default: a general sentence.',
      ),
  })
  .meta(
    rules({
      rule: '!has(self.arguments) || (!has(self.resources) && (has(self.tools) || has(self.prompts)))',
      message: 'arguments belong to tools and prompts: name them (tools: ["*"] is all), and put resources into a rule of their own',
    }),
  );
export type PolicyRule = Plain<z.output<typeof PolicyRule>>;

const ClassOverride = z.object({
  tools: NameGlobs.describe('Tools by name, * is any run of characters.'),
  class: ToolClass.describe('Their class, whatever they say of themselves. Of several overrides the most dangerous holds.'),
  unless: z
    .array(ClassException)
    .min(1)
    .max(8)
    .optional()
    .describe('Another class for calls with certain arguments; of several that hold, the most dangerous. Default: none.'),
});

export const Access = z.object({
  maximumClass: ToolClass.default('Destructive').describe(
    'No tool above this class can be called, whatever the rules say. Destructive is no ceiling. Default: Destructive.',
  ),
  trustAnnotations: z
    .enum(['Never', 'Pinned', 'Always'])
    .default('Pinned')
    .describe(
      "When the server's own hints may make a tool less dangerous than MCP's defaults (not read-only, destructive). Pinned: while the tool is as it was pinned. Default: Pinned.",
    ),
  overrides: z.array(ClassOverride).max(64).optional().describe('Classes that you assign; they win over all hints. Default: none.'),
});

/** The rules of a policy, told apart by name. */
export const PolicyRules = z.array(PolicyRule).max(64).meta(listMap('name'));
