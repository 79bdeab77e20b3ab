import { describe, expect, it } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { server } from './builders.ts';
import { notes, type NotesInput } from './notes.ts';

const reasons = (spec: Partial<MCPServerSpecInput>, changes: Partial<NotesInput> = {}) =>
  notes({
    server: server(spec),
    references: [],
    keysStale: undefined,
    bypass: undefined,
    missingMetrics: undefined,
    secretRotation: true,
    rulesOf: () => undefined,
    writersOf: () => [],
    foreignManagers: [],
    ...changes,
  }).map(({ reason }) => reason);

const claim = { kind: 'PersistentVolumeClaim', name: 'data', optional: false, writable: true } as const;
const secret = { kind: 'Secret', name: 'token', optional: false, writable: false } as const;

describe('notes', () => {
  const cases: Record<string, [spec: Partial<MCPServerSpecInput>, expected: readonly string[], changes?: Partial<NotesInput>]> = {
    'on a plain server are none': [{}, []],
    'tell of tag latest': [{ container: { image: 'example.com/x:latest' } }, ['MutableImageTag']],
    'do not tell of a tag that a digest fixes': [{ container: { image: `example.com/x:latest@sha256:${'0'.repeat(64)}` } }, []],
    'tell of a ClusterRole that does everything': [
      { kubernetesAccess: { clusterRoles: ['admin'] } },
      ['BroadClusterRole'],
      { rulesOf: () => [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] },
    ],
    'do not tell of one that reads': [
      { kubernetesAccess: { clusterRoles: ['view'] } },
      [],
      { rulesOf: () => [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] },
    ],
    'tell of egress to everywhere': [{ network: { egress: { to: [{ ipBlock: { cidr: '0.0.0.0/0' } }] } } }, ['OpenEgress']],
    'tell of egress to everywhere in IPv6': [{ network: { egress: { to: [{ ipBlock: { cidr: '::/0' } }] } } }, ['OpenEgress']],
    'do not tell of egress with exceptions': [
      { network: { egress: { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] } }] } } },
      [],
    ],
    'tell of a volume that others write to': [{}, ['SharedVolume'], { references: [claim], writersOf: () => ['other'] }],
    'do not tell of a volume that is only read': [{}, [], { references: [{ ...claim, writable: false }], writersOf: () => ['other'] }],
    'tell of fields of others': [{}, ['ForeignFields'], { foreignManagers: ['mesh'] }],
    'tell of a port that answers around the guard': [{}, ['BypassPossible'], { bypass: 8080 }],
    'tell of metrics that an autoscaler misses': [{}, ['MetricsMissing'], { missingMetrics: 'none' }],
    'tell of an issuer that cannot be reached any more': [{}, ['IssuerUnreachable'], { keysStale: 'corp: it is gone' }],
    'tell of Secrets that are not watched': [{}, ['RotationDisabled'], { references: [secret], secretRotation: false }],
    'do not tell of Secrets whose change is ignored anyway': [
      { rollout: { onReferenceChange: 'Ignore' } },
      [],
      { references: [secret], secretRotation: false },
    ],
  };
  for (const [name, [spec, expected, changes]] of Object.entries(cases)) it(name, () => expect(reasons(spec, changes)).toEqual(expected));
});
