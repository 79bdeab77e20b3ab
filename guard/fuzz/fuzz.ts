import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AuditChains } from '../../mcp/auditchain.ts';
import { bundle, policy } from '../testing/bundle.ts';
import type { Program } from '../testing/program.ts';
import { runProgram } from '../testing/program.ts';
import { eventually } from '../testing/running.ts';
import type { ScriptedServer, Seen } from '../testing/scripted.ts';
import { rpcMethod, scriptedServer } from '../testing/scripted.ts';
import { HIDDEN, hostileAnswer, TOOLS } from './answers.ts';
import { wrongRequest } from './oracle.ts';
import { Random } from './random.ts';
import type { Input } from './requests.ts';
import { input } from './requests.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Whether to go on after so many inputs. */
  readonly more: (inputs: number) => boolean;
  /** Callers at once. */
  readonly callers?: number;
  readonly progress?: (report: FuzzReport) => void;
}

export interface FuzzReport {
  readonly inputs: number;
  /** Requests that reached the server. */
  readonly forwarded: number;
  /** What must not happen, each with the seed and the number of its input where that is known. */
  readonly violations: readonly string[];
  /** MiB of the guard's process: the most, and at the end. */
  readonly peakMemory: number;
  readonly memory: number;
}

/** How long a caller waits for the end of its connection, milliseconds. */
const PATIENCE = 150;
/** Inputs that requests at the server are compared with: those on their way, and some that were given up. */
const REMEMBERED = 4_096;
/** MiB that no input may drive the process to. A body has 1 MiB at most, an answer as well, and there are few callers. */
const MAXIMUM_MEMORY = 400;

/**
 * Hostile callers and a hostile server with the real process of the guard between them.
 *
 * What must hold whatever they send: the process lives and reports no error of its own; what reaches the server is what policy allows,
 * in the very bytes that were sent, and every reader reads it alike; no caller sees what is hidden; memory stays bounded; in the end
 * nothing is held any more, and each request has one audit record.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const run = new Run(options);
  await run.start();
  try {
    await Promise.all(Array.from({ length: options.callers ?? 24 }, () => run.caller()));
    await run.settle();
    return run.report();
  } finally {
    await run.stop();
  }
}

class Run {
  readonly #options: FuzzOptions;
  readonly #answers: Random;
  readonly #inputs = new Map<number, Input>();
  readonly #violations: string[] = [];
  readonly #sessions: string[] = [];
  #server: ScriptedServer | undefined;
  #guard: Program | undefined;
  #sent = 0;
  #forwarded = 0;
  #peak = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#answers = new Random(options.seed + 1);
  }

  async start(): Promise<void> {
    const prompts = [{ name: 'p' }];
    const resources = [{ uri: 'file:///a', name: 'a' }];
    this.#server = await scriptedServer((seen, response) => this.#answer(seen, response.socket), { tools: TOOLS, prompts, resources });
    const access = { maximumClass: 'ReadOnly', trustAnnotations: 'Always', overrides: [] } as const;
    const limits = { rate: [], concurrency: {}, maxRequestBytes: 1_048_576, maxResponseBytes: 1_048_576, callTimeoutMs: 200 };
    this.#guard = await runProgram({
      upstream: this.#server.url,
      bundle: bundle({ policies: [policy({ access, limits })] }),
      flags: ['--verification-interval', '5'],
    });
    const { admin } = this.#guard.ports;
    await eventually(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).ok, 'the server was listed', 60_000);
  }

  async caller(): Promise<void> {
    while (this.#options.more(this.#sent) && this.#violations.length === 0 && this.#guard?.child.exitCode === null) {
      this.#sent += 1;
      const index = this.#sent;
      const made = input(new Random(this.#options.seed + index * 7919), index, this.#sessions);
      this.#inputs.set(index, made);
      this.#inputs.delete(index - REMEMBERED);
      this.#hear(index, await this.#exchange(made));
      if (index % 200 === 0) this.#look();
    }
  }

  /** Sends one input and gives everything that comes back. */
  async #exchange({ bytes, cuts, hasty }: Input): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const socket = connect(this.#guard?.ports.data ?? 0, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(undefined));
    socket.setTimeout(PATIENCE, () => socket.destroy());
    [0, ...cuts].forEach((from, at) => void socket.write(bytes.subarray(from, cuts[at] ?? bytes.length)));
    if (hasty) setImmediate(() => socket.destroy());
    await promise;
    return Buffer.concat(chunks).toString('latin1');
  }

  #hear(index: number, text: string): void {
    if (text !== '' && !text.startsWith('HTTP/1.1 ')) this.#violate(index, `an answer that is no HTTP: ${text.slice(0, 100)}`);
    if (text.includes(HIDDEN)) this.#violate(index, `a caller read what is hidden: ${text.slice(0, 2_000)}`);
    const session = /\r\nmcp-session-id: ([^\r]+)/i.exec(text)?.[1];
    if (session !== undefined && session !== 'upstream-session') {
      this.#sessions[index % 16] = session;
    } else if (session !== undefined) {
      this.#violate(index, 'a session id that is not sealed');
    }
  }

  #answer(seen: Seen, socket: Socket | null): void {
    this.#forwarded += 1;
    const wrong = wrongRequest(seen, this.#inputs);
    if (wrong !== undefined)
      this.#violate(Number(seen.headers['x-fuzz']), `the server got ${wrong}: ${seen.body.toString().slice(0, 400)}`);
    if (this.#forwarded % 1_000 === 0) this.#server?.forget();
    const id = /"id":("[^"]*"|-?\d+)/.exec(seen.body.toString())?.[1] ?? '1';
    const { packets, end } = hostileAnswer(this.#answers, id, rpcMethod(seen) === 'tools/list', seen.method === 'GET');
    if (socket === null) return;
    for (const packet of packets) socket.write(packet);
    if (end === 'close') socket.end();
    if (end === 'reset') socket.resetAndDestroy();
    // Nobody waits for it for ever: the guard gives up first.
    if (end === 'hang') setTimeout(() => socket.destroy(), 2_000).unref();
  }

  #violate(index: number, what: string): void {
    this.#violations.push(`seed ${this.#options.seed}, input ${index}: ${what}`);
  }

  #look(): void {
    const memory = this.#memory();
    this.#peak = Math.max(this.#peak, memory);
    if (memory > MAXIMUM_MEMORY) this.#violate(this.#sent, `the guard has ${memory} MiB`);
    if (this.#sent % 5_000 === 0) this.#options.progress?.(this.report());
  }

  #memory(): number {
    const { pid } = this.#guard?.child ?? {};
    try {
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
    } catch {
      return Number.NaN;
    }
  }

  /** Once everybody has gone, the guard must hold nothing, and must have written everything down. */
  async settle(): Promise<void> {
    const guard = this.#guard;
    if (guard === undefined) return;
    if (guard.child.exitCode !== null || guard.child.signalCode !== null) {
      this.#violate(this.#sent, `the guard ended (${guard.child.exitCode ?? guard.child.signalCode}): ${guard.stderr().slice(-2_000)}`);
      return;
    }
    // Whoever is served slowly is still served now.
    const deadline = Date.now() + 15_000;
    let held = await this.#held(guard);
    while (held !== undefined && Date.now() < deadline) {
      await delay(50);
      held = await this.#held(guard);
    }
    if (held !== undefined) this.#violate(this.#sent, held);
    const chains = new AuditChains();
    for (const line of guard.stdout().split('\n')) chains.take(line);
    for (const { line, problem } of chains.report().breaks) this.#violate(this.#sent, `audit record ${line}: ${problem}`);
    if (guard.stderr().includes('"level":"error"')) this.#violate(this.#sent, `the guard reports ${guard.stderr().slice(-4_000)}`);
    const open = readdirSync(`/proc/${guard.child.pid}/fd`).length;
    if (open > 200) this.#violate(this.#sent, `the guard holds ${open} descriptors`);
    this.#look();
  }

  async #held(guard: Program): Promise<string | undefined> {
    const status = (await (await fetch(`http://127.0.0.1:${guard.ports.admin}/status`)).json()) as { calls: number; streams: number };
    if (status.calls + status.streams > 0) return `the guard still holds ${status.calls} calls and ${status.streams} streams`;
    const metrics = await (await fetch(`http://127.0.0.1:${guard.ports.metrics}/metrics`)).text();
    const requests = Number(/^mcp_fleet_guard_requests_total (\d+)$/m.exec(metrics)?.[1] ?? 0);
    const records = guard.stdout().split('\n').length - 1;
    return requests === records ? undefined : `${requests} requests have ${records} audit records`;
  }

  report(): FuzzReport {
    return {
      inputs: this.#sent,
      forwarded: this.#forwarded,
      violations: this.#violations,
      peakMemory: this.#peak,
      memory: this.#memory(),
    };
  }

  async stop(): Promise<void> {
    this.#guard?.remove();
    await this.#server?.stop();
  }
}
