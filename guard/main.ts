import { write } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { FLAGS, settings, SettingsError } from './settings.ts';
import { requestDrain } from './draining.ts';
import { Guard } from './guard.ts';
import { processLog } from './log.ts';

/** The guard's program. `drain` as first argument tells a running guard to drain; everything else starts one. */
async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(usage());
    return;
  }
  if (args[0] === 'drain') {
    const socket = args[1] ?? process.env['MCP_FLEET_GUARD_CONTROL'] ?? '/run/mcp-fleet/guard.sock';
    const seconds = Number(args[2] ?? 0);
    if (seconds > 0) {
      // Those who send requests learn a little later that the pod is going; connections that they keep would lead them here even then.
      await requestDrain(socket, 'leave');
      await delay(seconds * 1000);
    }
    await requestDrain(socket);
    return;
  }
  const read = settings(args, process.env);
  const log = processLog(read.logLevel, Date.now, (line) => process.stderr.write(line));
  const guard = new Guard(read, {
    log,
    audit: (bytes, done) => writeAll(1, bytes, done),
    now: Date.now,
    random: Math.random,
  });
  let signals = 0;
  const terminate = (signal: NodeJS.Signals): void => {
    signals += 1;
    // Whoever asks twice does not want to wait.
    if (signals > 1) process.exit(1);
    log.info('received a signal', { signal });
    void guard.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', terminate);
  process.on('SIGINT', terminate);
  await guard.start();
}

/** Writes everything, in as many writes as it takes. A full pipe is tried again by the caller. */
function writeAll(descriptor: number, bytes: Buffer, done: (error: Error | null) => void): void {
  write(descriptor, bytes, (error, written) => {
    if (error !== null) {
      done(error);
    } else if (written < bytes.length) {
      writeAll(descriptor, bytes.subarray(written), done);
    } else {
      done(null);
    }
  });
}

function usage(): string {
  const flags = FLAGS.map((flag) => `  --${flag.name}${flag.default === '' ? '' : ` (${flag.default})`}\n      ${flag.help}\n`);
  return `usage: guard [flags]\n       guard drain [socket [seconds to wait before]]\n\n${flags.join('')}`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof SettingsError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
