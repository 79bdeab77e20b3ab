import type { Pins } from './bundle.ts';

/**
 * The pins of a server in ConfigMap `<name>-pins`: JSON objects from tool to digests, `{"search": ["sha256:…"]}`, one data key per writer. Whoever
 * approves a tool writes a key of his own, so that nobody takes away what another one trusts.
 */

/** Data key of what the operator saw first. */
export const FIRST_PINS_KEY = 'first.json';

/** Digests per tool that count, so that old and new pods coexist during a rollout. */
export const MAX_DIGESTS = 4;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** What somebody else wrote makes no sense. */
export class PinFileError extends Error {
  override readonly name = 'PinFileError';
}

/** Everything that the keys of the ConfigMap trust, together. Throws `PinFileError`. */
export function readPins(data: Readonly<Record<string, string>>): Pins {
  const tools = new Map<string, Set<string>>();
  for (const [key, text] of Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (const [tool, digests] of entries(key, text)) {
      const known = tools.get(tool) ?? new Set();
      for (const digest of digests) known.add(digest);
      if (known.size > MAX_DIGESTS) throw new PinFileError(`${key}: tool ${JSON.stringify(tool)} has more than ${MAX_DIGESTS} digests`);
      tools.set(tool, known);
    }
  }
  return { tools: Object.fromEntries([...tools].map(([tool, digests]) => [tool, [...digests]])) };
}

function entries(key: string, text: string): readonly (readonly [string, readonly string[]])[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PinFileError(`${key} is no JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PinFileError(`${key} is no object from tool to digests`);
  return Object.entries(value).map(([tool, digests]) => {
    if (!Array.isArray(digests) || !digests.every((digest) => typeof digest === 'string' && DIGEST.test(digest))) {
      throw new PinFileError(`${key}: tool ${JSON.stringify(tool)} needs a list of digests "sha256:<64 hexadecimal digits>"`);
    }
    return [tool, digests as string[]];
  });
}

/** One data key that trusts these tools as they are. */
export const writePins = (tools: readonly { readonly name: string; readonly digest: string }[]): string =>
  pinsText(tools.map(({ name, digest }) => [name, [digest]]));

/** One data key, a tool a line. The same pins give the same bytes. */
export function pinsText(tools: readonly (readonly [name: string, digests: readonly string[]])[]): string {
  const lines = tools
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, digests]) => `${JSON.stringify(name)}: ${JSON.stringify(digests)}`);
  return lines.length === 0 ? '{}\n' : `{\n${lines.join(',\n')}\n}\n`;
}
