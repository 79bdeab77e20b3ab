import { withoutCredentials } from '../../../mcp/redaction.ts';

/** Lines of a log that a message quotes, and how long they may be together. A condition is read in a terminal. */
const LINES = 5;
const CHARACTERS = 600;

const ERROR = /\b\w*(?:error|exception|fatal|panic)\b\W*:|\b(?:error|fatal)\b/i;

// oxlint-disable-next-line no-control-regex -- terminal colours are what it removes
const ANSI = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The last lines of what a container left behind, printable, bounded and without what looks like a credential; empty when it said nothing. */
export function logTail(text: string | undefined): string {
  // Colours may stand inside of a credential.
  const lines = withoutCredentials((text ?? '').replaceAll(ANSI, ''))
    .replaceAll(CONTROL, ' ')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '');
  const last = lines.slice(-LINES);
  // A stack trace pushes the error itself out of the end of the log.
  const error = last.some((line) => ERROR.test(line)) ? undefined : lines.slice(0, -LINES).findLast((line) => ERROR.test(line));
  const tail = [...(error === undefined ? [] : [error]), ...last].join('\n');
  return tail.length <= CHARACTERS ? tail : `…${tail.slice(-CHARACTERS)}`;
}

/** One line of somebody else's words, printable and bounded. */
export function oneLine(text: string | undefined): string {
  const line = (text ?? '').replaceAll(ANSI, '').replaceAll(CONTROL, ' ').replaceAll(/\s+/g, ' ').trim();
  return line.length <= CHARACTERS ? line : `${line.slice(0, CHARACTERS)}…`;
}

/**
 * What a quotation says apart from what changes at every attempt: times, counters, back-offs, ports, process ids, addresses, hashes. Two messages
 * with the same gist are the same news, so that a broken server does not cause a write per restart.
 */
export function gist(message: string): string {
  return message
    .toLowerCase()
    .replaceAll(/\b(?=[0-9a-z-]*\d)(?=[0-9a-z-]*[a-z])[0-9a-z]+(?:-[0-9a-z]+)*\b/g, '#')
    .replaceAll(/\d+/g, '#')
    .replaceAll(/[#.:,µ-]*#(?:[.:,µ-]*#)*(?:ms|s|m|h)?/g, '#')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
