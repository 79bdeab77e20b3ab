import { event } from '../../relay/events.ts';
import type { ResponseSink } from '../upstream.ts';

/**
 * The HTTP answer to one request: a JSON body when the result is all there is, an event stream as soon as anything comes before it.
 */
export class Reply {
  readonly #sink: ResponseSink;
  readonly #fields: readonly string[];
  readonly #status: (text: string) => number;
  #state: 'waiting' | 'streaming' | 'done' = 'waiting';

  /** `fields`: header fields of the answer, names and values alternating. `status`: the HTTP status of a result that comes alone. */
  constructor(sink: ResponseSink, fields: readonly string[] = [], status: (text: string) => number = () => 200) {
    this.#sink = sink;
    this.#fields = fields;
    this.#status = status;
  }

  /** A message before the result. */
  message(text: string): void {
    if (this.#state === 'done') return;
    if (this.#state === 'waiting') {
      this.#state = 'streaming';
      this.#sink.head(200, ['content-type', 'text/event-stream', 'cache-control', 'no-store', ...this.#fields]);
    }
    this.#sink.data(event(text));
  }

  /** The result, with which the answer ends. */
  result(text: string): void {
    if (this.#state === 'streaming') {
      this.#sink.data(event(text));
      this.#end();
    } else {
      this.json(this.#status(text), text);
    }
  }

  /** An answer that is one JSON body. */
  json(status: number, text: string): void {
    if (this.#state !== 'waiting') return;
    const body = Buffer.from(text);
    this.#sink.head(status, ['content-type', 'application/json', 'content-length', String(body.length), ...this.#fields]);
    this.#sink.data(body);
    this.#end();
  }

  empty(status: number, fields: readonly string[] = []): void {
    if (this.#state !== 'waiting') return;
    this.#sink.head(status, ['content-length', '0', ...this.#fields, ...fields]);
    this.#end();
  }

  /** The server failed; `error` is what a caller that already listens to a stream gets as its last event. */
  fail(cause: string, error: string): void {
    if (this.#state === 'streaming') {
      this.result(error);
    } else if (this.#state === 'waiting') {
      this.#state = 'done';
      this.#sink.fail({ status: 502, cause });
    }
  }

  #end(): void {
    this.#state = 'done';
    this.#sink.end();
  }
}
