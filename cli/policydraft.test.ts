import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { policyForm, policySpec } from '../api/policyform.ts';
import { printable } from '../mcp/excerpt.ts';
import { policyDraft } from './policydraft.ts';

const hint = fc.constantFrom(true, false, undefined);
const tool = fc.record({
  name: fc.oneof(
    fc.string({ minLength: 1, maxLength: 300, unit: 'binary' }),
    fc.stringMatching(/^[-\w.#:'"{}[\]&!>|%@,* ]{1,120}$/),
    fc.constantFrom('yes', 'null', '1', '- a', '# x', 'a: b', '__proto__'),
  ),
  title: fc.option(fc.string({ unit: 'binary', maxLength: 200 }), { nil: undefined }),
  hints: fc.record({ readOnly: hint, destructive: hint, idempotent: hint, openWorld: hint }),
  digest: fc.constant(`sha256:${'0'.repeat(64)}`),
});

test('whatever a server calls its tools, the draft is a policy that names them and nothing else', () => {
  fc.assert(
    fc.property(fc.uniqueArray(tool, { selector: ({ name }) => name, maxLength: 80 }), (tools) => {
      const text = policyDraft({ server: 'github', namespace: 'agents', maximumClass: 'Destructive', mode: 'Enforce', tools });
      const { spec, metadata } = parse(text) as { spec: unknown; metadata: object };
      expect(metadata).toEqual({ name: 'github', namespace: 'agents' });
      const { rules, access } = policyForm(policySpec(spec));
      const nameable = tools.filter(({ name }) => !name.includes('*') && name.length <= 256 && printable(name, 256) === name);
      expect(rules.flatMap((rule) => rule.tools ?? [])).toEqual(nameable.map(({ name }) => name));
      expect(rules.at(-1)).toMatchObject({ name: 'prompts-and-resources', prompts: ['*'], resources: ['**'] });
      const silent = nameable.filter(({ hints }) => hints.readOnly === undefined && hints.destructive === undefined);
      expect(access.overrides.flatMap((override) => override.tools)).toEqual(silent.map(({ name }) => name));
    }),
    { numRuns: 50 },
  );
});
