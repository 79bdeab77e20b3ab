import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import type { Link, LinkHandlers } from './link.ts';

/** Characters that one line may have. A child that never ends its line would fill the memory. */
const MAXIMUM_LINE = 64 * 1024 * 1024;

/** A connection to the shim: a child process of its own at the other end, one JSON text a line. */
export class PipeLink implements Link {
  readonly #socket: Socket;
  readonly #opened = Promise.withResolvers<boolean>();
  readonly #decoder = new StringDecoder('utf8');
  #rest: string[] = [];
  #length = 0;

  constructor(path: string, handlers: LinkHandlers) {
    let reason = 'the process of the server ended';
    this.#socket = connect(path);
    this.#socket.on('connect', () => this.#opened.resolve(true));
    this.#socket.on('data', (chunk: Buffer) => {
      if (!this.#take(this.#decoder.write(chunk), handlers.message)) {
        reason = `the server wrote a line of more than ${MAXIMUM_LINE} characters`;
        this.#socket.destroy();
      }
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = `the process of the server cannot be reached (${error.code ?? error.message})`;
    });
    this.#socket.on('close', () => {
      this.#opened.resolve(false);
      handlers.closed(reason);
    });
  }

  /** Whether the connection came about. */
  opened(): Promise<boolean> {
    return this.#opened.promise;
  }

  send(line: string): void {
    // Line ends inside JSON text are white space between tokens; on this wire they would end the message.
    this.#socket.write(`${line.includes('\n') || line.includes('\r') ? line.replaceAll(/[\r\n]/g, ' ') : line}\n`);
  }

  /** Ends the input of the child, which is how it is asked to leave. */
  close(): void {
    this.#socket.end();
    this.#socket.unref();
  }

  #take(text: string, line: (text: string) => void): boolean {
    const parts = text.split('\n');
    for (const [index, part] of parts.entries()) {
      this.#rest.push(part);
      this.#length += part.length;
      if (this.#length > MAXIMUM_LINE) return false;
      if (index === parts.length - 1) break;
      const whole = this.#rest.join('').replace(/\r$/, '');
      this.#rest = [];
      this.#length = 0;
      if (whole !== '') line(whole);
    }
    return true;
  }
}
