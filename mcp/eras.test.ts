import { describe, expect, test } from 'vitest';
import { eraOf, type DiscoverAnswer, type EraVerdict } from './eras.ts';

const error = (code: number, data?: object): DiscoverAnswer => ({ kind: 'Error', code, data: data as never });
const modern: EraVerdict = { era: 'Modern', revision: '2026-07-28' };
const legacy: EraVerdict = { era: 'Legacy' };

describe('the answer to server/discover', () => {
  const cases: Record<string, { answer: DiscoverAnswer; verdict: EraVerdict }> = {
    'with our revision means modern': {
      answer: { kind: 'Result', result: { supportedVersions: ['2031-01-01', '2026-07-28'] } },
      verdict: modern,
    },
    'with legacy revisions alone means initialize': {
      answer: { kind: 'Result', result: { supportedVersions: ['2025-11-25'] } },
      verdict: legacy,
    },
    'with future revisions alone means nothing in common': {
      answer: { kind: 'Result', result: { supportedVersions: ['2031-01-01', 3, '<x>'] } },
      verdict: { era: 'None', supported: ['2031-01-01'] },
    },
    'that is no discover result means initialize': { answer: { kind: 'Result', result: {} }, verdict: legacy },
    'of an unknown method means initialize': { answer: error(-32601), verdict: legacy },
    'of the first SDKs, -32000, means initialize': { answer: error(-32000), verdict: legacy },
    'of an unsupported revision with ours means modern': { answer: error(-32022, { supported: ['2026-07-28'] }), verdict: modern },
    'of an unsupported revision with legacy ones means initialize': {
      answer: error(-32022, { supported: ['2025-06-18'] }),
      verdict: legacy,
    },
    'of an unsupported revision without a list means nothing in common': { answer: error(-32022), verdict: { era: 'None', supported: [] } },
    'of a header mismatch means a modern server that refuses': { answer: error(-32020), verdict: { era: 'None', supported: [] } },
    'of a missing capability means a modern server that refuses': { answer: error(-32021), verdict: { era: 'None', supported: [] } },
    'outside JSON-RPC means initialize': { answer: { kind: 'Other' }, verdict: legacy },
  };
  test.each(Object.entries(cases))('%s', (_, { answer, verdict }) => {
    expect(eraOf(answer)).toEqual(verdict);
  });
});
