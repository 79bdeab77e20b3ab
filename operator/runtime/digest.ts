import { createHash } from 'node:crypto';

/** Sixteen hexadecimal characters over the JSON of `value`. Equal for equal values whose members are in the same order. */
export const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
