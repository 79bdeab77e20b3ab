import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type Level = 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  readonly level?: Level;
  /** Where lines go. Default: standard output, synchronously, so that the last lines before an exit are there. */
  readonly destination?: DestinationStream;
}

/** JSON lines. Credentials are cut out wherever an object that holds them is logged. */
export function logger({ level = 'info', destination = pino.destination({ dest: 1, sync: true }) }: LogOptions = {}): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['authorization', 'token', '*.authorization', '*.token', 'headers.authorization', '*.headers.authorization'],
        censor: '[redacted]',
      },
      serializers: { err: errorFields },
    },
    destination,
  );
}

/** An error as fields. The stack only of what is a bug: an API server's refusal explains itself. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, cause } = error;
  const { code, status } = error as { code?: unknown; status?: unknown };
  return {
    type: name,
    message,
    ...(code !== undefined && { code }),
    ...(typeof status === 'number' && { status }),
    ...(name !== 'KubeError' && { stack: error.stack }),
    ...(cause instanceof Error && { cause: cause.message }),
  };
}
