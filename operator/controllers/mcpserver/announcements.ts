import type { EventReason } from '../../../api/events.ts';
import type { MCPServer } from '../../../api/mcpserver.ts';
import { type Condition, conditionOf } from '../../runtime/conditions.ts';
import type { Note } from './notes.ts';
import { noteText, toldNotes } from './status.ts';
import { toolChanges } from './tools.ts';

/** What an event says. */
export interface Announcement {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: 'Reconcile' | 'Verify' | 'Apply' | 'Restart';
  readonly note: string;
}

export const RESTARTED: Announcement = {
  type: 'Normal',
  reason: 'Restarted',
  action: 'Restart',
  note: 'Pods are replaced, because what they read from ConfigMaps or Secrets has changed',
};

/** What differs between two inventories. A tool that changed under its users is a warning. */
export const toolAnnouncements = (...[before, after]: Parameters<typeof toolChanges>): Announcement[] =>
  toolChanges(before, after).map(({ change, note }) => ({
    type: change === 'ToolChanged' ? 'Warning' : 'Normal',
    reason: change,
    action: 'Verify',
    note,
  }));

/** What is new in a status, against the one that the server has: a restart of the operator tells nothing twice. */
export function announcements(server: MCPServer, remarks: readonly Note[], conditions: readonly Condition[]): Announcement[] {
  const told = toldNotes(server);
  const before = (type: string) => conditionOf(server.status?.conditions as readonly Condition[] | undefined, type);
  const now = (type: string) => conditionOf(conditions, type);
  const made: Announcement[] = remarks
    .filter((note) => !told.includes(noteText(note)))
    .map(({ reason, message }) => ({ type: 'Warning', reason, action: 'Reconcile', note: message }));
  const verified = now('Verified');
  if (before('Verified')?.status === 'False' && verified?.status === 'True')
    made.push({ type: 'Normal', reason: 'Verified', action: 'Verify', note: verified.message });
  if (before('Verified')?.status === 'True' && verified?.status === 'False')
    made.push({ type: 'Warning', reason: 'VerificationFailed', action: 'Verify', note: `${verified.reason}: ${verified.message}` });
  const retrying = now('Reconciling');
  if (retrying?.reason === 'Retrying' && before('Reconciling')?.reason !== 'Retrying')
    made.push({ type: 'Warning', reason: 'ApplyFailed', action: 'Apply', note: retrying.message });
  const refused = now('Accepted');
  if (refused?.status === 'False' && !wasRefused(server))
    made.push({ type: 'Warning', reason: refused.reason, action: 'Reconcile', note: refused.message });
  return made;
}

/** Whether the last status did not accept the server: then what it asked for has not been applied yet. */
export const wasRefused = ({ status }: MCPServer): boolean =>
  conditionOf(status?.conditions as readonly Condition[] | undefined, 'Accepted')?.status === 'False';

/** Whether the last status has a note of that reason. */
export const isTold = (server: MCPServer, reason: EventReason): boolean => toldNotes(server).some((note) => note.startsWith(`${reason}:`));
