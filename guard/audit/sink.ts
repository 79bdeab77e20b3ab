/** Where finished lines go: standard output in production. Calls back once all bytes are accepted, or with an error. */
export type LineWriter = (bytes: Buffer, done: (error: Error | null) => void) => void;

/** Bytes that may wait for a slow reader of the log before lines are left out. */
const MAXIMUM_WAITING = 4 * 1024 * 1024;
/** A write that takes longer than this, milliseconds, says that nobody reads. */
const STALLED = 1_000;
/** How long lines gather before they are written, milliseconds: one write for each call would cost as much as deciding on it. */
export const GATHERING = 5;
/** A writer that fails is tried again after this time, milliseconds. */
const RETRY = 200;

/**
 * Writes lines in order, one write at a time with everything that gathered meanwhile.
 *
 * Guarantees: callers never wait; what does not fit is refused at once and not half written; memory is bounded. A process that is killed loses what
 * has gathered for up to 5 ms, and what waits for a write that is slow; urgent lines, and all before them, do not gather.
 */
export class LineSink {
  readonly #write: LineWriter;
  #waiting: string[] = [];
  #bytes = 0;
  #writing = false;
  #failed = false;
  #since = 0;
  #idle: (() => void)[] = [];
  #gathering: NodeJS.Timeout | undefined;
  #hurried = false;

  constructor(write: LineWriter) {
    this.#write = write;
  }

  /** Whether a line given now would be written as far as can be known. */
  get healthy(): boolean {
    const stalled = this.#writing && this.#since > 0 && performance.now() - this.#since > STALLED;
    return !this.#failed && !stalled && this.#bytes < MAXIMUM_WAITING;
  }

  /** Takes a line (with its line end), or refuses it when too much is waiting. */
  offer(line: string, urgent = false): boolean {
    if (this.#bytes + line.length > MAXIMUM_WAITING) return false;
    this.#waiting.push(line);
    this.#bytes += line.length;
    if (!this.#writing) this.#gather();
    if (urgent) this.#hurry();
    return true;
  }

  /** Resolves when nothing waits any more. */
  async flushed(): Promise<void> {
    if (this.#bytes === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    this.#hurry();
    await promise;
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => this.#flush(), GATHERING);
  }

  /** Whatever is being written is followed by what waits, without gathering. */
  #hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    if (!this.#writing) setImmediate(() => this.#hurried && !this.#writing && this.#flush());
  }

  #flush(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#hurried = false;
    this.#writing = true;
    const bytes = Buffer.from(this.#waiting.join(''));
    const characters = this.#bytes;
    this.#waiting = [];
    this.#attempt(bytes, characters);
  }

  #attempt(bytes: Buffer, characters: number): void {
    this.#since = performance.now();
    this.#write(bytes, (error) => {
      this.#since = 0;
      if (error !== null) {
        this.#failed = true;
        setTimeout(() => this.#attempt(bytes, characters), RETRY).unref();
        return;
      }
      this.#failed = false;
      this.#bytes -= characters;
      this.#writing = false;
      if (this.#waiting.length > 0) {
        if (this.#hurried) this.#flush();
        else this.#gather();
        return;
      }
      this.#hurried = false;
      for (const resolve of this.#idle.splice(0)) resolve();
    });
  }
}
