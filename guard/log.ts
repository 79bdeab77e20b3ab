/** Process logs: sentences in the past with objects beside them, one JSON object per line. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** A log that writes to standard error: standard output belongs to the audit log. */
export function processLog(level: string, now: () => number, write: (line: string) => void): Log {
  const least = Math.max(0, LEVELS.indexOf(level as (typeof LEVELS)[number]));
  const entry =
    (name: (typeof LEVELS)[number]) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (LEVELS.indexOf(name) < least) return;
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level: name, msg: message, ...printable(fields) })}\n`);
    };
  return { debug: entry('debug'), info: entry('info'), warn: entry('warn'), error: entry('error') };
}

function printable(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? { message: value.message, stack: value.stack } : value]),
  );
}
