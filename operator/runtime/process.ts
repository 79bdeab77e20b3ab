import type { Logger } from 'pino';
import type { Manager } from './manager.ts';

export interface ProcessEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  exit(code: number): never | void;
}

/**
 * Runs a manager as the whole of a process and exits with its code.
 *
 * SIGTERM and SIGINT stop in order; a second one exits with 1 at once. A rejection or exception that nobody handled is a bug:
 * it is logged and the process exits with 1, since what state it left behind is unknown.
 */
export async function runProcess(
  manager: Pick<Manager, 'start' | 'stop' | 'ended'>,
  log: Logger,
  { close = async () => {}, process: events = process }: { readonly close?: () => Promise<void>; readonly process?: ProcessEvents } = {},
): Promise<void> {
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT']) {
    events.on(signal, () => {
      if (asked) {
        log.warn({ signal }, 'stopped at once');
        events.exit(1);
        return;
      }
      asked = true;
      log.info({ signal }, 'signal received');
      void manager.stop();
    });
  }
  for (const event of ['unhandledRejection', 'uncaughtException']) {
    events.on(event, (err) => {
      log.fatal({ err, event }, 'ended by a bug');
      events.exit(1);
    });
  }
  manager.start().catch((err: unknown) => log.error({ err }, 'start failed'));
  const code = await manager.ended;
  await close();
  events.exit(code);
}
