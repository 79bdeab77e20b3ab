import { z } from 'zod';
import { rules, saying } from './schema/markers.ts';
import type { Plain } from './schema/plain.ts';

const oneOf = (...operators: readonly string[]) => `(self.operator in [${operators.map((operator) => `'${operator}'`).join(', ')}])`;

const EQUALITY = oneOf('Equals', 'NotEquals');
const TEXT = oneOf('Prefix', 'Glob', 'Matches');
const SET = oneOf('In', 'NotIn', 'SubsetOf');
const LOWER = oneOf('GreaterThan', 'Between');
const UPPER = oneOf('LessThan', 'MaxLength', 'Between');

export const JSONPointer = z
  .string()
  .max(512)
  .regex(/^(\/([^~/]|~[01])*)+$/)
  .meta(saying('must be a JSON Pointer such as /namespace or /items/*/name; ~1 stands for a slash in a name, ~0 for a tilde'));

/** Which operands belong to which operator; said once, since class exceptions have the same. */
const operandRules = rules(
  {
    rule: `has(self.value) ? (${EQUALITY} || ${TEXT}) : !${TEXT}`,
    message: 'Prefix, Glob and Matches take value; Equals and NotEquals may; the other operators do not',
  },
  {
    rule: `${EQUALITY} ? [has(self.value), has(self.number), has(self.boolean)].filter(x, x).size() == 1 : !has(self.number) && !has(self.boolean)`,
    message: 'Equals and NotEquals take exactly one of value, number and boolean; the other operators take neither number nor boolean',
  },
  { rule: `has(self.values) == ${SET}`, message: 'In, NotIn and SubsetOf take values, and only they do' },
  { rule: `has(self.min) == ${LOWER}`, message: 'GreaterThan and Between take min, and only they do' },
  { rule: `has(self.max) == ${UPPER}`, message: 'LessThan, MaxLength and Between take max, and only they do' },
  {
    rule: "self.operator != 'Between' || !has(self.min) || !has(self.max) || self.min <= self.max",
    message: 'min must not exceed max',
  },
  {
    rule: "self.operator != 'MaxLength' || !has(self.max) || (self.max >= 0.0 && self.max == double(int(self.max)))",
    message: 'a length is an integer that is not negative',
    fieldPath: '.max',
  },
  {
    rule: "self.operator != 'Matches' || !has(self.value) || self.value.size() <= 256",
    message: 'an expression has at most 256 characters',
    fieldPath: '.value',
  },
  {
    // A pattern that RE2 does not take makes `matches` fail whatever the text, and with it the rule.
    rule: "self.operator != 'Matches' || !has(self.value) || [true, false].exists(x, x == ''.matches(self.value))",
    message: 'value must be an RE2 expression: no look-around, no back-references',
  },
);

const operands = {
  path: JSONPointer.describe('Where in the arguments; * is every element of a list or object.'),
  operator: z
    .enum([
      'Exists',
      'Absent',
      'Equals',
      'NotEquals',
      'Prefix',
      'Glob',
      'Matches',
      'In',
      'NotIn',
      'SubsetOf',
      'GreaterThan',
      'LessThan',
      'MaxLength',
      'Between',
    ])
    .describe(
      'How the argument is tested. Nothing is converted: "5" is not 5. In doubt (an absent path, another type) the test of an Allow rule fails and that of a Deny rule holds where it is negative or the type differs.',
    ),
  value: z
    .string()
    .max(512)
    .optional()
    .describe(
      'Text for Equals, NotEquals, Prefix, Glob (* within a path segment, ** across) and Matches (RE2, unanchored). Default: none.',
    ),
  number: z.number().optional().describe('Number for Equals and NotEquals. Default: none.'),
  boolean: z.boolean().optional().describe('Truth value for Equals and NotEquals. Default: none.'),
  values: z.array(z.string().max(512)).min(1).max(64).optional().describe('Texts for In, NotIn and SubsetOf. Default: none.'),
  min: z.number().optional().describe('Bound for GreaterThan (exclusive) and Between (inclusive). Default: none.'),
  max: z.number().optional().describe('Bound for LessThan (exclusive), Between and MaxLength (inclusive). Default: none.'),
};

export const ToolClass = z.enum(['ReadOnly', 'NonDestructive', 'Destructive']);

/** One test of one argument of a call. */
export const ArgumentTest = z.object(operands).meta(operandRules);
export type ArgumentTest = Plain<z.output<typeof ArgumentTest>>;

/** The class that a tool has instead, where the test holds. */
export const ClassException = z.object({ ...operands, class: ToolClass.describe('The class that holds then.') }).meta(operandRules);
export type ClassException = Plain<z.output<typeof ClassException>>;
