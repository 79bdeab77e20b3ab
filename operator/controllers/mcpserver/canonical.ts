import { canonicalQuantity } from './quantity.ts';

type Json = unknown;

/** Members that the API server drops when they hold their zero value: in Go they are no pointers and `omitempty`. */
const dropped = new Set([
  'readOnly',
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'stdin',
  'stdinOnce',
  'tty',
  'initialDelaySeconds',
  'publishNotReadyAddresses',
]);
/** Maps of quantities, and single quantities. */
const quantityMaps = new Set(['requests', 'limits', 'overhead']);
const quantities = new Set(['sizeLimit', 'divisor', 'tolerance']);
/** Maps whose keys people choose. */
const free = new Set(['labels', 'annotations', 'matchLabels', 'nodeSelector']);

/**
 * A pod template in the form in which the API server keeps it, so that a wish can be compared with what is stored: canonical quantities, no
 * members that it drops, no `undefined`.
 */
export const canonical = <T>(value: T): T => walk(value, '', '') as T;

function walk(value: Json, key: string, parent: string): Json {
  if (quantities.has(key) && isScalar(value)) return canonicalQuantity(value);
  if (parent !== '' && quantityMaps.has(parent) && isScalar(value)) return canonicalQuantity(value);
  if (Array.isArray(value)) return value.map((item) => walk(item, '', ''));
  if (typeof value !== 'object' || value === null || free.has(key)) return value;
  const result: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined || (dropped.has(name) && (member === false || member === 0))) continue;
    result[name] = walk(member, name, key);
  }
  return result;
}

const isScalar = (value: Json): value is number | string => typeof value === 'number' || typeof value === 'string';
