/** Says what happens, with the time since the start. Lines go to standard output at once. */
export class Progress {
  readonly #started: number;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#started = now();
  }

  say(line: string): void {
    const seconds = ((this.#now() - this.#started) / 1000).toFixed(1).padStart(6);
    process.stdout.write(`[${seconds} s] ${line}\n`);
  }

  /** A heading for what is shown to the reader rather than done. */
  show(heading: string): void {
    process.stdout.write(`\n── ${heading}\n\n`);
  }
}
