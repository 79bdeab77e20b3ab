/** Repeatable randomness (mulberry32): an input is told by its seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] ?? values[0];
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/** Pieces that parsers trip over. */
const SPICE: readonly [string, ...string[]] = [
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\u0000',
  '\ufeff',
  '\u2028',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '//',
  '/**/',
  "'",
  '\r\n',
  '\n\n',
  '\r\n\r\n',
  '\t',
  '1e999',
  '-0',
  '9007199254740993',
  'NaN',
  'null',
  '__proto__',
  'ſ',
  'K',
  'd\u0435lete',
  'delete',
  '"name":"delete"',
  '"Name":"delete"',
  '"method":"tools/call"',
  '"params":{"name":"delete"}',
  '"id":null',
  '"jsonrpc":"1.0"',
  '../',
  '%2e%2e',
  ': ',
  'data:',
  'id:',
  'event:',
];

/** The same with a few changes: bytes flipped, cut, doubled, moved, and pieces put in. */
export function mutated(random: Random, input: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const at = random.below(bytes.length + 1);
    const until = Math.min(bytes.length, at + 1 + random.below(24));
    switch (random.below(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
        break;
      case 3:
        bytes = bytes.subarray(0, at);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(SPICE)), bytes.subarray(at)]);
    }
  }
  return bytes;
}
