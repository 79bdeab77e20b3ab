import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput, MCPServerStatus } from '../../../api/mcpserver.ts';
import { MCPServerStatus as StatusSchema } from '../../../api/status.ts';
import { type Condition, conditionOf } from '../../runtime/conditions.ts';
import { kstatusViolations } from '../../runtime/kstatus.ts';
import type { Availability } from './availability.ts';
import { allReady, live, server, UNGUARDED } from './builders.ts';
import { noteText, status, type StatusInput, toldNotes } from './status.ts';
import type { PolicyState } from './policystate.ts';
import { verificationState, type VerificationResult } from './verification.ts';

const now = new Date('2026-01-01T00:00:10Z');
const available: Availability = {
  status: 'True',
  reason: 'Available',
  message: '1 of 1 pods are ready',

  rollingOut: false,
  deadlineExceeded: undefined,
};
const progressing: Availability = {
  ...available,
  status: 'False',
  reason: 'Progressing',
  message: '0 of 1 pods are ready',
  rollingOut: true,
};
const verified: VerificationResult = {
  outcome: 'Verified',
  message: 'it speaks MCP',
  server: { name: 'x', version: '1', protocolVersions: ['2025-11-25'], era: 'Legacy', capabilities: ['tools'] },
  inventory: { tools: [], digest: 'sha256:0' },
  at: now,
};

const noPolicy: PolicyState = {
  condition: { type: 'PolicyApplied', status: 'True', reason: 'NoPolicy', message: 'No policy selects this server: every call is allowed' },
  behind: undefined,
  policies: undefined,
  policyDigest: undefined,
  guards: undefined,
};

interface Changes {
  readonly spec?: Partial<MCPServerSpecInput>;
  readonly before?: MCPServerStatus;
  readonly result?: VerificationResult;
  readonly input?: Partial<StatusInput>;
  readonly generation?: number;
}

function made({ spec = {}, before, result, input = {}, generation = 1 }: Changes = {}): MCPServerStatus {
  const object = server(spec, { metadata: { generation }, ...(before !== undefined && { status: before }) });
  return status({
    server: object,
    violation: undefined,
    notes: [],
    deployment: live(allReady(1)),
    availability: available,
    verification: verificationState(object, result),
    exposure: undefined,
    address: { url: 'http://github.agents.svc.cluster.local/mcp' },
    policy: noPolicy,
    retrying: undefined,
    now,
    ...input,
  });
}

const conditions = (of: MCPServerStatus) => (of.conditions ?? []) as readonly Condition[];
const brief = (of: MCPServerStatus) => conditions(of).map(({ type, status: value, reason }) => `${type}=${value}/${reason}`);

describe('status', () => {
  const cases: Record<string, [changes: Changes, expected: readonly string[]]> = {
    'is Ready when everything is': [
      { result: verified },
      ['Ready=True/Ready', 'Accepted=True/Accepted', 'Available=True/Available', 'PolicyApplied=True/NoPolicy', 'Verified=True/Verified'],
    ],
    'waits for the first verification': [
      {},
      [
        'Ready=Unknown/Pending',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=Unknown/Pending',
      ],
    ],
    'is Progressing while pods start': [
      { input: { availability: progressing } },
      [
        'Ready=False/Progressing',
        'Accepted=True/Accepted',
        'Available=False/Progressing',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=Unknown/Pending',
      ],
    ],
    'is stalled by a mistake': [
      { input: { violation: { reason: 'InvalidSpec', message: 'no' }, deployment: undefined } },
      [
        'Ready=False/InvalidSpec',
        'Accepted=False/InvalidSpec',
        'Available=Unknown/Progressing',
        'PolicyApplied=True/NoPolicy',
        'Stalled=True/InvalidSpec',
        'Verified=Unknown/Pending',
      ],
    ],
    'is not stalled by what is still to come': [
      { input: { violation: { reason: 'ReferenceNotFound', message: 'no' }, deployment: undefined } },
      [
        'Ready=False/ReferenceNotFound',
        'Accepted=False/ReferenceNotFound',
        'Available=Unknown/Progressing',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=Unknown/Pending',
      ],
    ],
    'has the reason of the verification where pods run': [
      {
        result: { ...verified, outcome: 'ConnectionRefused', message: 'refused' },
        input: { availability: { ...available, status: 'False', reason: 'ServerNotAnswering', message: 'mute' } },
      },
      [
        'Ready=False/ConnectionRefused',
        'Accepted=True/Accepted',
        'Available=False/ServerNotAnswering',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=False/ConnectionRefused',
      ],
    ],
    'is Ready with nothing wanted': [
      { input: { availability: { ...available, reason: 'Suspended', message: 'Suspended' } } },
      [
        'Ready=True/Suspended',
        'Accepted=True/Accepted',
        'Available=True/Suspended',
        'PolicyApplied=True/NoPolicy',
        'Verified=Unknown/Pending',
      ],
    ],
    'is not Ready where the new revision will never come': [
      { result: verified, input: { availability: { ...available, deadlineExceeded: 'no progress', rollingOut: true } } },
      [
        'Ready=False/ProgressDeadlineExceeded',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'PolicyApplied=True/NoPolicy',
        'Stalled=True/ProgressDeadlineExceeded',
        'Verified=True/Verified',
      ],
    ],
    'is Ready while the newest revision rolls out': [
      { result: verified, input: { availability: { ...available, rollingOut: true } } },
      [
        'Ready=True/Ready',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=True/Verified',
      ],
    ],
    'does not count exposure into Ready': [
      { result: verified, input: { exposure: { status: 'False', reason: 'Pending', message: 'soon' } } },
      [
        'Ready=True/Ready',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'Exposed=False/Pending',
        'PolicyApplied=True/NoPolicy',
        'Verified=True/Verified',
      ],
    ],
    'misses required tools': [
      { spec: { verification: { requiredTools: ['sing'] } }, result: verified },
      [
        'Ready=False/RequiredToolMissing',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'PolicyApplied=True/NoPolicy',
        'Reconciling=True/Progressing',
        'Verified=False/RequiredToolMissing',
      ],
    ],
    'takes a server that wants credentials for verified': [
      { result: { ...verified, outcome: 'AuthenticationRequired', inventory: undefined } },
      [
        'Ready=True/Ready',
        'Accepted=True/Accepted',
        'Available=True/Available',
        'PolicyApplied=True/NoPolicy',
        'Verified=True/AuthenticationRequired',
      ],
    ],
  };
  for (const [name, [changes, expected]] of Object.entries(cases)) {
    it(name, () => {
      const made1 = made(changes);
      expect(brief(made1)).toEqual(expected);
      expect(StatusSchema.safeParse(made1).error).toBeUndefined();
    });
  }

  it('says why the server does not answer, as its guard found it', () => {
    const mute = { ...available, status: 'False', reason: 'ServerNotAnswering', message: 'mute' } as const;
    const told = (spec: Partial<MCPServerSpecInput>) =>
      conditionOf(
        made({ spec, result: { ...verified, outcome: 'Timeout', message: 'no answer' }, input: { availability: mute } })
          .conditions as readonly Condition[],
        'Available',
      )?.message;
    expect([told({}), told(UNGUARDED)]).toEqual(['mute: no answer', 'mute']);
  });

  it('is the same when nothing happened, also without what was verified before a restart', () => {
    const first = made({ result: verified });
    const later = { now: new Date(now.getTime() + 3_600_000) };
    expect(made({ before: first, result: verified, input: later })).toEqual(first);
    expect(made({ before: first, input: later })).toEqual(first);
  });

  it('moves the time of the last success once an hour', () => {
    const first = made({ result: verified });
    const at = (minutes: number) =>
      made({ before: first, result: { ...verified, at: new Date(now.getTime() + minutes * 60_000) } }).verification?.lastSuccessTime;
    expect(at(1)).toBe('2026-01-01T00:00:10Z');
    expect(at(59)).toBe('2026-01-01T00:00:10Z');
    expect(at(60)).toBe('2026-01-01T01:00:10Z');
  });

  it('keeps what is known of a server that stops answering', () => {
    const first = made({ result: verified });
    const failed = made({
      before: first,
      result: { ...verified, outcome: 'Timeout', message: 'late', server: undefined, inventory: undefined },
    });
    expect(failed.server).toEqual(first.server);
    expect(failed.tools).toEqual(first.tools);
    expect(failed.verification).toEqual({ lastSuccessTime: '2026-01-01T00:00:10Z', message: 'late' });
  });

  it('keeps its words while a failure says nothing new', () => {
    const crash = (message: string) => ({ availability: { ...progressing, reason: 'CrashLooping' as const, message } });
    const first = made({ input: crash('exit 1: [17] boom at 10:00:01') });
    expect(made({ before: first, input: crash('exit 1: [2099] boom at 11:30:59') })).toEqual(first);
    expect(conditionOf(conditions(made({ before: first, input: crash('exit 1: bang') })), 'Ready')?.message).toBe('exit 1: bang');
    expect(
      conditionOf(conditions(made({ before: first, generation: 2, input: crash('exit 1: [2099] boom at 11:30:59') })), 'Ready')?.message,
    ).toContain('2099');
  });

  it('counts pods, though numbers are all that changes', () => {
    const first = made({ input: { availability: { ...progressing, message: '0 of 3 pods are ready' } } });
    const next = made({ before: first, input: { availability: { ...progressing, message: '1 of 3 pods are ready' } } });
    expect(conditionOf(conditions(next), 'Ready')?.message).toBe('1 of 3 pods are ready');
  });

  it('remembers the notes that were told', () => {
    const note = { reason: 'MutableImageTag' as const, message: 'latest' };
    const first = made({ result: verified, input: { notes: [note] } });
    expect(toldNotes(server({}, { status: first }))).toEqual([noteText(note)]);
    expect(toldNotes(server())).toEqual([]);
  });

  it('obeys kstatus at rest in every combination', () => {
    const bool = fc.boolean();
    fc.assert(
      fc.property(bool, bool, bool, fc.constantFrom('Verified', 'Timeout', undefined), (accepted, enough, stuck, outcome) => {
        const result = outcome === undefined ? undefined : { ...verified, outcome: outcome as VerificationResult['outcome'] };
        const availability: Availability = {
          ...(enough ? available : progressing),
          rollingOut: false,
          deadlineExceeded: stuck ? 'no progress' : undefined,
        };
        const violation = accepted ? undefined : ({ reason: 'NameConflict', message: 'taken' } as const);
        const made1 = made({ ...(result !== undefined && { result }), input: { availability, violation } });
        expect(kstatusViolations({ ...server({}, { status: made1 }) })).toEqual([]);
      }),
    );
  });
});
