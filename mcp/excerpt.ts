import { withoutCredentials } from './redaction.ts';

/**
 * Text of a stranger, made safe to print in a status, an event, a log or a terminal: control, format, surrogate, private-use and
 * unassigned characters (escape sequences, bidirectional overrides, NUL, line breaks) become spaces or `�`, runs of space one space.
 */
export function printable(text: string, maximum = 256): string {
  // Twice the maximum suffices to see whether something is left out, and bounds the work on megabytes.
  const clean = text
    .slice(0, maximum * 2)
    .replaceAll(/[\s\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/\p{C}/gu, '\uFFFD')
    .trim();
  const characters = Array.from(clean);
  const cut = characters.length > maximum || text.length > maximum * 2;
  return cut ? `${characters.slice(0, maximum - 1).join('')}…` : clean;
}

/** Shorter values are words that occur everywhere; hiding them would make messages unreadable. */
const shortestSecret = 6;

/** `text` without the given values. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let result = text;
  for (const secret of secrets) {
    if (secret.length >= shortestSecret) result = result.replaceAll(secret, '[redacted]');
  }
  return result;
}

/** `text` without the given values and without what looks like a credential. */
function redacted(text: string, secrets: readonly string[]): string {
  return withoutCredentials(withoutSecrets(text, secrets));
}

/** The beginning of something unexpected, quoted: `"<!doctype html> <title>…"`, without the given values and without what looks like a credential. */
export function excerpt(content: string | Uint8Array, secrets: readonly string[] = [], maximum = 160): string {
  const text = typeof content === 'string' ? content : new TextDecoder().decode(content.subarray(0, maximum * 16));
  // Redaction comes before cutting: half a secret is still one.
  const hidden = redacted(text.slice(0, maximum * 16), secrets);
  return `"${printable(hidden, maximum)}"`;
}
