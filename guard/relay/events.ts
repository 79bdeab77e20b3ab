/**
 * Cuts a server-sent event stream into blocks without changing a byte: the concatenation of all blocks and of the rest is the input,
 * whatever the chunks were. Lines end in CRLF, LF or CR; a block ends with an empty line.
 * Source: WHATWG HTML, section 9.2.6.
 */
export class EventSplitter {
  readonly #limit: number;
  #held: Buffer[] = [];
  #size = 0;
  /** True right behind a line end, and at the very beginning. */
  #lineStart = true;
  /** The last byte seen was a CR, so that a LF now belongs to it. */
  #afterReturn = false;
  /** The block is complete but for a LF that may follow its CR. */
  #closing = false;

  /** `limit`: bytes that one block may have. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes the next chunk and gives the blocks that it completed; `undefined` when a block exceeds the limit. A block that ends in CR
   * is given at once, and a LF that follows is given as (the beginning of) the next one, which readers take as the same line end.
   */
  push(chunk: Buffer): Buffer[] | undefined {
    const blocks: Buffer[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (byte === 0x0a && this.#afterReturn) {
        this.#afterReturn = false;
        if (this.#closing) {
          this.#closing = false;
          blocks.push(this.#cut(chunk.subarray(start, at + 1)));
          start = at + 1;
        }
        continue;
      }
      if (this.#closing) {
        this.#closing = false;
        blocks.push(this.#cut(chunk.subarray(start, at)));
        start = at;
      }
      if (byte !== 0x0a && byte !== 0x0d) {
        this.#lineStart = false;
        this.#afterReturn = false;
        // Nothing but a line end matters: leap to the next one.
        at = nextLineEnd(chunk, at + 1) - 1;
        continue;
      }
      this.#afterReturn = byte === 0x0d;
      if (!this.#lineStart) {
        this.#lineStart = true;
      } else if (byte === 0x0d) {
        this.#closing = true;
      } else {
        blocks.push(this.#cut(chunk.subarray(start, at + 1)));
        start = at + 1;
      }
    }
    if (start < chunk.length) {
      const rest = chunk.subarray(start);
      this.#held.push(rest);
      this.#size += rest.length;
      if (this.#closing) {
        // A lone CR ends the block for a reader as well: holding it back would delay the event.
        this.#closing = false;
        blocks.push(this.#cut(EMPTY));
      } else if (this.#size > this.#limit) {
        return undefined;
      }
    }
    return blocks.some((block) => block.length > this.#limit) ? undefined : blocks;
  }

  /** What is left when the stream ends: an event that was never completed. */
  rest(): Buffer {
    return this.#cut(EMPTY);
  }

  #cut(last: Buffer): Buffer {
    const block = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last]);
    this.#held = [];
    this.#size = 0;
    this.#lineStart = true;
    return block;
  }
}

const EMPTY = Buffer.alloc(0);

function nextLineEnd(chunk: Buffer, from: number): number {
  const feed = chunk.indexOf(0x0a, from);
  const end = feed === -1 ? chunk.length : feed;
  const back = chunk.subarray(from, end).indexOf(0x0d);
  return back === -1 ? end : from + back;
}

/** One field line of a block: its name, and where its value is. */
interface Line {
  readonly name: string;
  readonly value: string;
  readonly text: string;
}

/** A block read as an event. */
export interface ServerEvent {
  /** The `data` lines joined by line feeds; `undefined` when the block has none (a comment, a `retry`). */
  readonly data: string | undefined;
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly lines: readonly Line[];
}

/** Reads one block as a client would. A byte order mark at the start of the stream is not part of the first line. */
export function readEvent(block: Buffer): ServerEvent {
  const lines: Line[] = [];
  for (const text of block
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)) {
    if (text === '') continue;
    const colon = text.indexOf(':');
    const name = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    lines.push({ name, value, text });
  }
  const data = lines.filter((line) => line.name === 'data').map((line) => line.value);
  const last = (name: string): string | undefined => lines.findLast((line) => line.name === name)?.value;
  return { data: data.length === 0 ? undefined : data.join('\n'), id: last('id'), event: last('event'), lines };
}

/** The event with other data; every other line stays as it was. `data` may have line feeds, but no other line ends. */
export function withData(event: ServerEvent, data: string): Buffer {
  const others = event.lines.filter((line) => line.name !== 'data').map((line) => `${line.text}\n`);
  const lines = data.split('\n').map((line) => `data: ${line}\n`);
  return Buffer.from(`${others.join('')}${lines.join('')}\n`);
}

/** A whole event of our own. */
export function event(data: string): Buffer {
  return Buffer.from(`event: message\ndata: ${data}\n\n`);
}
