import { edited, spanAt } from '../../message/spans.ts';
import { US } from './modern.ts';

/** Newest legacy revision, which we offer the child; what it answers holds for all its clients. */
const LEGACY_REVISION = '2025-11-25';
/** We can do nothing for a server by ourselves, but a client may: what it cannot do is refused in its place. */
const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

/** How the guard introduces itself to a child that all callers share. */
export const INTRODUCTION = { protocolVersion: LEGACY_REVISION, capabilities: CAPABILITIES, clientInfo: US };

/** The child's introduction under the caller's id. A caller that asks for an older revision than the child speaks gets that: revisions add. */
export function introductionFor(introduction: string, request: string, requested: unknown): string {
  const edits = [];
  const id = spanAt(introduction, ['id']);
  const wanted = spanAt(request, ['id']);
  if (id !== undefined && wanted !== undefined) edits.push({ ...id, text: request.slice(wanted.start, wanted.end) });
  const version = spanAt(introduction, ['result', 'protocolVersion']);
  if (version !== undefined && typeof requested === 'string' && /^20\d\d-\d\d-\d\d$/.test(requested)) {
    const spoken = JSON.parse(introduction.slice(version.start, version.end)) as unknown;
    if (typeof spoken === 'string' && requested < spoken) edits.push({ ...version, text: JSON.stringify(requested) });
  }
  return edited(introduction, edits);
}
