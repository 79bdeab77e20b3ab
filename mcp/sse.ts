/** One server-sent event. `id` is the last event id of the stream so far. */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

export class SseLimitError extends Error {
  override readonly name = 'SseLimitError';
}

/**
 * Incremental parser of `text/event-stream` (HTML Living Standard, 9.2.6), indifferent to how the bytes are cut into chunks: CRLF, LF and CR,
 * also split; a BOM at the start; comments; several `data` lines; `id`; `retry`. An event that the end of the stream cuts off is dropped.
 * Work is linear in the bytes even when they arrive one by one.
 */
export class SseParser {
  /** Milliseconds that the server asks to wait before reconnecting. */
  retryMs: number | undefined;
  lastEventId: string | undefined;

  readonly #maximum: number;
  // Replaces malformed UTF-8, drops a leading BOM and keeps characters that chunks cut in two.
  readonly #decoder = new TextDecoder();
  #line: string[] = [];
  #data: string[] = [];
  #event = '';
  #size = 0;
  #afterCarriageReturn = false;

  /** `maximum`: characters that one event may have, over all its lines and comments. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The events that this chunk completes. Throws `SseLimitError` when one event exceeds the maximum. */
  push(chunk: Uint8Array): readonly SseEvent[] {
    const text = this.#decoder.decode(chunk, { stream: true });
    const events: SseEvent[] = [];
    let start = 0;
    if (text.length > 0 && this.#afterCarriageReturn) {
      this.#afterCarriageReturn = false;
      if (text.startsWith('\n')) start = 1;
    }
    const lineEnd = /\r\n|\r|\n/g;
    lineEnd.lastIndex = start;
    for (let match = lineEnd.exec(text); match !== null; match = lineEnd.exec(text)) {
      this.#keep(text.slice(start, match.index));
      start = lineEnd.lastIndex;
      if (match[0] === '\r' && start === text.length) this.#afterCarriageReturn = true;
      const line = this.#line.join('');
      this.#line = [];
      if (line === '') this.#dispatch(events);
      else this.#field(line);
    }
    this.#keep(text.slice(start));
    return events;
  }

  #keep(part: string): void {
    this.#size += part.length;
    if (this.#size > this.#maximum) throw new SseLimitError(`an event is larger than ${this.#maximum} characters`);
    if (part !== '') this.#line.push(part);
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) {
      // A comment does not belong to an event: endless keep-alives must not add up to the limit.
      this.#size -= line.length;
      return;
    }
    const name = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.lastEventId = value;
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) {
      events.push({ event: this.#event === '' ? 'message' : this.#event, data: this.#data.join('\n'), id: this.lastEventId });
    }
    this.#data = [];
    this.#event = '';
    this.#size = 0;
  }
}
