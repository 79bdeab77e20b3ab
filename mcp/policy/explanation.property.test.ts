import fc from 'fast-check';
import { expect, it } from 'vitest';
import { explain } from './explanation.ts';
import { engineOf, everyQuestion, now, requestOf, set } from './testing/arbitraries.ts';

it('what is said of all arguments holds for each, and what is said of some is what is decided', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(set, (input) => {
      const engine = engineOf(input);
      for (const each of everyQuestion) {
        const { arguments: args, ...request } = requestOf(each);
        const { effect } = engine.decide({ ...request, arguments: args });
        const { answer, listed } = explain(engine, request, now);
        if (answer !== 'depends') expect(effect === 'allow' ? 'allowed' : 'refused').toBe(answer);
        expect(listed).toBe(engine.visible(each.caller, each.object));
        expect(explain(engine, { ...request, arguments: args ?? {} }, now).answer).toBe(effect === 'allow' ? 'allowed' : 'refused');
      }
    }),
    { numRuns: 200 },
  );
});
