import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { gone, identify, onlyChild, signal } from './process.ts';
import type { ProcessIdentity } from './process.ts';

export interface ComponentOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly logPath: string;
  /** Asked until it says true or the process ends. */
  readonly ready: () => Promise<boolean>;
  /** Where and under whom the process runs. */
  readonly place: Place;
  /** Told whenever the process behind the component changes, so that a later run can clear what this one leaves. */
  readonly onProcess: (name: string, process: ProcessIdentity) => void;
}

/** Where a component's process lives. */
export interface Place {
  /** The command to spawn instead of `command`. */
  wrap(command: readonly [string, ...string[]]): readonly [string, ...string[]];
  /** Whether what is spawned is a parent of the component instead of becoming it. */
  readonly forks: boolean;
}

const START_TIMEOUT_MS = 120_000;
/** An API server with open watches takes a minute to end by itself. */
const GRACE_MS = 5_000;
const KILL_TIMEOUT_MS = 15_000;

/**
 * One process of a cluster.
 *
 * Guarantees: after `start` it answers; after `stop` or `kill` the process is gone; a signal never reaches a stranger that
 * inherited the process id. Its output is appended to `logPath` over all starts.
 */
export class Component {
  readonly name: string;
  readonly logPath: string;
  readonly #options: ComponentOptions;
  #process: ProcessIdentity | undefined;
  /** What started it: itself, or nsenter around it. */
  #wrapper: ProcessIdentity | undefined;

  constructor(options: ComponentOptions) {
    this.name = options.name;
    this.logPath = options.logPath;
    this.#options = options;
  }

  /** Undefined before the first start. */
  get process(): ProcessIdentity | undefined {
    return this.#process;
  }

  /** @throws Error with the end of the log when the process ends, or is not ready within two minutes */
  async start(): Promise<void> {
    const { command, place, ready, onProcess } = this.#options;
    const exited = new AbortController();
    const wrapper = this.#spawn(place.wrap(command), exited);
    this.#wrapper = wrapper;
    this.#process = place.forks ? await onlyChild(wrapper) : wrapper;
    onProcess(this.name, this.#process);
    const end = performance.now() + START_TIMEOUT_MS;
    while (!(await ready())) {
      if (exited.signal.aborted || performance.now() > end) {
        const what = exited.signal.aborted ? `ended (${String(exited.signal.reason)})` : `was not ready after ${START_TIMEOUT_MS / 1000} s`;
        throw new Error(`${this.name} ${what}; ${this.logPath} ends with:\n${await this.#logEnd()}`);
      }
      await delay(20);
    }
  }

  /** Asks it to end and insists after five seconds. */
  async stop(): Promise<void> {
    const running = this.#process;
    if (running === undefined || !signal(running, 'SIGTERM')) {
      return;
    }
    signal(running, 'SIGCONT');
    this.#wakeWrapper();
    if (!(await gone(running, GRACE_MS))) {
      await this.kill();
    }
  }

  /** SIGKILL: what a crash or the kernel's out-of-memory killer does. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running !== undefined && signal(running, 'SIGKILL') && !(await gone(running, KILL_TIMEOUT_MS))) {
      throw new Error(`${this.name} (process ${running.pid}) survived SIGKILL`);
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Freezes the process: its connections stay open and nobody answers. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
    this.#wakeWrapper();
  }

  /** nsenter stops itself when its child is stopped, and nobody else continues it: it would stay behind. */
  #wakeWrapper(): void {
    if (this.#wrapper !== undefined) signal(this.#wrapper, 'SIGCONT');
  }

  #signal(name: NodeJS.Signals): void {
    if (this.#process === undefined || !signal(this.#process, name)) {
      throw new Error(`${this.name} is not running`);
    }
  }

  #spawn([file, ...args]: readonly [string, ...string[]], exited: AbortController): ProcessIdentity {
    const log = openSync(this.logPath, 'a');
    try {
      // A session of its own, so that Ctrl-C reaches this process first and the cluster is stopped in order.
      const child = spawn(file, args, { stdio: ['ignore', log, log], detached: true, env: environment() });
      child.on('error', (error) => exited.abort(error.message));
      child.on('exit', (code, name) => exited.abort(name ?? `code ${code ?? 0}`));
      child.unref();
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      if (identity === undefined) {
        throw new Error(`${file} could not be started`);
      }
      return identity;
    } finally {
      closeSync(log);
    }
  }

  async #logEnd(): Promise<string> {
    const lines = (await readFile(this.logPath, 'utf8').catch(() => '')).trimEnd().split('\n');
    return lines.slice(-15).join('\n');
  }
}

/** Only what Go programs need: proxies of this machine must not come between the components. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, HOME: process.env['HOME'] ?? '/' };
}
