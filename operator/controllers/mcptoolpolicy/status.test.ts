import { describe, expect, it } from 'vitest';
import { API_VERSION } from '../../../api/group.ts';
import { MCPToolPolicySpec, MCPToolPolicyStatus, type MCPToolPolicy } from '../../../api/mcptoolpolicy.ts';
import { policyStatus, type PolicyStatusInput, type PolicyTarget } from './status.ts';

const now = new Date('2026-06-01T00:00:00Z');
const policy = (spec: object = {}, part: Partial<MCPToolPolicy> = {}): MCPToolPolicy => ({
  apiVersion: API_VERSION,
  kind: 'MCPToolPolicy',
  metadata: { namespace: 'agents', name: 'policy', generation: 4 },
  spec: { ...(MCPToolPolicySpec.parse({ selector: {}, defaultAction: 'Deny' }) as MCPToolPolicy['spec']), ...spec },
  ...part,
});
const target = (name: string, part: Partial<PolicyTarget> = {}): PolicyTarget => ({
  namespace: 'agents',
  name,
  guarded: true,
  current: true,
  warnings: [],
  ...part,
});
const statusOf = (part: Partial<PolicyStatusInput>) =>
  policyStatus({ policy: policy(), operatorNamespace: 'mcp-fleet-system', targets: [], now, ...part });
const told = (part: Partial<PolicyStatusInput>) =>
  statusOf(part).conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`);

const table: readonly [sentence: string, part: Partial<PolicyStatusInput>, conditions: readonly string[]][] = [
  ['selects no server', {}, ['Ready True Ready', 'Accepted True Accepted', 'Programmed True NoTargets']],
  ['is enforced everywhere', { targets: [target('a')] }, ['Ready True Ready', 'Accepted True Accepted', 'Programmed True Programmed']],
  [
    'is not enforced yet by one guard',
    { targets: [target('a'), target('b', { current: false })] },
    ['Ready False GuardBehind', 'Accepted True Accepted', 'Programmed False GuardBehind'],
  ],
  [
    'selects a server whose guard is off',
    { targets: [target('a', { current: false }), target('b', { guarded: false, current: false })] },
    ['Ready False NotEnforced', 'Accepted True Accepted', 'Programmed False NotEnforced'],
  ],
  [
    'cannot be read',
    { policy: policy({ quarantine: true }), targets: [target('a')] },
    ['Ready False InvalidSpec', 'Accepted False InvalidSpec', 'Programmed Unknown Pending', 'Stalled True InvalidSpec'],
  ],
  [
    'has namespaces where it may not',
    { policy: policy({ namespaces: { matchNames: ['*'] } }) },
    [
      'Ready False NamespacesNotAllowed',
      'Accepted False NamespacesNotAllowed',
      'Programmed Unknown Pending',
      'Stalled True NamespacesNotAllowed',
    ],
  ],
];

describe('the status of a policy that', () => {
  it.each(table)('%s', (_, part, conditions) => {
    expect(told(part)).toEqual(conditions);
  });

  it('cannot be read says what is wrong and what happens', () => {
    const [ready] = statusOf({ policy: policy({ quarantine: true }), targets: [target('a')] }).conditions ?? [];
    expect(ready?.message).toBe(
      'spec.quarantine: not known to this version. Guards that hold an earlier form of it keep that; servers without one refuse every call',
    );
  });

  it('is behind names the servers, the first twenty', () => {
    const targets = Array.from({ length: 30 }, (_, number) => target(`s${String(number).padStart(2, '0')}`, { current: number < 5 }));
    const { conditions, targets: counted } = statusOf({ targets });
    expect(conditions?.[0]?.message).toBe(
      'Guards of 25 of 30 servers do not enforce it yet: agents/s05, agents/s06, agents/s07 and 22 more',
    );
    expect(counted).toMatchObject({ total: 30, current: 5 });
    expect(counted?.notCurrent).toHaveLength(20);
    expect(counted?.notCurrent?.[0]).toBe('agents/s05');
  });

  it('has warnings tells each once, bounded', () => {
    const warnings = ['same', ...Array.from({ length: 80 }, (_, number) => `w${number}`), 'x'.repeat(5000)];
    const status = statusOf({ targets: [target('a', { warnings }), target('b', { warnings: ['same'] })] });
    expect(status.warnings).toHaveLength(64);
    expect(status.warnings?.at(-1)).toBe('and 19 more');
    expect(MCPToolPolicyStatus.safeParse(status).success).toBe(true);
  });

  it('does not change is the same byte for byte', () => {
    const first = statusOf({ targets: [target('a')] });
    const second = statusOf({ policy: policy({}, { status: first }), targets: [target('a')], now: new Date('2027-01-01T00:00:00Z') });
    expect(second).toEqual(first);
  });

  it('is mended is no longer Stalled', () => {
    const broken = statusOf({ policy: policy({ quarantine: true }) });
    expect(told({ policy: policy({}, { status: broken }) })).toEqual([
      'Ready True Ready',
      'Accepted True Accepted',
      'Programmed True NoTargets',
    ]);
  });
});
