import type { ListedTool } from '../mcp/tool-list.ts';

/** What the server declared, in words; what it left open is not said. */
export function hintWords({ hints }: Pick<ListedTool, 'hints'>): string {
  const words = [
    hints.readOnly === undefined ? undefined : hints.readOnly ? 'read-only' : 'writes',
    hints.destructive === undefined ? undefined : hints.destructive ? 'destructive' : 'not destructive',
    hints.idempotent === true ? 'idempotent' : undefined,
    hints.openWorld === undefined ? undefined : hints.openWorld ? 'open world' : 'closed world',
  ];
  const said = words.filter((word) => word !== undefined).join(', ');
  return said === '' ? 'none' : said;
}

/** Enough of a digest to tell two apart. */
export const shortDigest = (digest: string): string => digest.slice('sha256:'.length, 'sha256:'.length + 12);
