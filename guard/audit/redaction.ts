/**
 * Arguments as the audit log may show them.
 *
 * Paths are JSON Pointers; `*` is every element, `**` any depth. Long strings and large values are cut, so that a record stays a line
 * that log pipelines take.
 */
export function redacted(value: unknown, paths: readonly string[]): unknown {
  const copy = bounded(value);
  for (const path of paths) blank(copy, path.split('/').slice(1).map(unescape));
  return copy;
}

const REDACTED = '[redacted]';
const MAXIMUM_STRING = 1024;
const MAXIMUM_ELEMENTS = 100;

function unescape(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}

function blank(node: unknown, segments: readonly string[]): void {
  const [segment, ...rest] = segments;
  if (segment === undefined || typeof node !== 'object' || node === null) return;
  if (segment === '**') {
    blank(node, rest);
    for (const child of Object.values(node)) blank(child, segments);
    return;
  }
  for (const key of segment === '*' ? Object.keys(node) : [segment]) {
    if (!Object.hasOwn(node, key)) continue;
    const container = node as Record<string, unknown>;
    if (rest.length === 0) container[key] = REDACTED;
    else blank(container[key], rest);
  }
}

function bounded(value: unknown): unknown {
  if (typeof value === 'string') return value.length > MAXIMUM_STRING ? `${value.slice(0, MAXIMUM_STRING)}…` : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.slice(0, MAXIMUM_ELEMENTS).map(bounded);
  // A map without prototype: an argument may be called `__proto__`.
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [key, child] of Object.entries(value).slice(0, MAXIMUM_ELEMENTS)) copy[key] = bounded(child);
  return copy;
}
