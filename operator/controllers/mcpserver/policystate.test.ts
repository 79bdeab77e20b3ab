import { describe, expect, it } from 'vitest';
import type { Condition } from '../../runtime/conditions.ts';
import { compileBundle } from '../../../compiler/bundle.ts';
import { server } from './builders.ts';
import type { DistributionState } from './distribution.ts';
import type { Enforced } from './enforcement.ts';
import { policyState, type Unenforced } from './policystate.ts';

const applied: Condition = {
  type: 'PolicyApplied',
  status: 'True',
  reason: 'Applied',
  message: 'The guards enforce agents/a',
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
};
const object = server({ guard: { enabled: true } }, { status: { conditions: [applied], policyDigest: 'sha256:1' } });

const compiled = compileBundle({
  server: object,
  policies: [],
  operatorNamespace: undefined,
  clusterDomain: 'cluster.local',
  clusterIssuer: undefined,
  ambient: 'Allow',
  pins: undefined,
  keys: { issuers: {} },
  replicas: 1,
  previous: undefined,
  known: {},
  now: 0,
});
const enforced = (changes: Partial<Enforced['compiled']> = {}): Enforced => ({
  guarded: true,
  compiled: { ...compiled, ...changes },
  pinned: true,
  pinsMissing: undefined,
  keysMissing: undefined,
  keysStale: undefined,
  keys: { issuers: {} },
  headers: {},
});
const current: DistributionState = { digest: compiled.digest, total: 1, current: 1, behind: [], late: false, refused: undefined };

const cases: Record<string, [Enforced | Unenforced, DistributionState | undefined, expected: string]> = {
  'what holds while nothing can be worked out is what was said': ['Unknown', undefined, 'True Applied'],
  'nothing is said where no guard runs': ['NothingRuns', undefined, 'Unknown GuardBehind'],
  'guards that nobody can give a bundle are reported': ['Lost', undefined, 'False NotEnforced'],
  'a server without policies says so': [enforced(), current, 'True NoPolicy'],
  'a bundle that does not fit is a problem although the guards hold its substitute': [
    enforced({ oversized: 'too big' }),
    current,
    'False BundleTooLarge',
  ],
  'tokens that nobody can check are reported': [{ ...enforced(), keysMissing: 'corp: it is down' }, current, 'False KeysMissing'],
  'guards that are late are reported': [enforced(), { ...current, current: 0, behind: ['p'], late: true }, 'False GuardBehind'],
};

describe('the state of policies', () => {
  for (const [sentence, [what, distribution, expected]] of Object.entries(cases))
    it(sentence, () => {
      const { condition } = policyState(object, what, distribution);
      expect(`${condition.status} ${condition.reason}`).toBe(expected);
    });
});
