import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { AuditChains } from '../../mcp/auditchain.ts';
import type { Environment } from '../context.ts';
import { CommandError, ExitCode } from '../exit.ts';

/** Breaks that are printed; a log that was cut in a thousand places needs no thousand lines. */
const SHOWN = 20;

/** Verifies the hash chains of audit records in a file, or in what comes from standard input. */
export async function verifyAudit(environment: Environment, file: string | undefined): Promise<void> {
  const input = file === undefined || file === '-' ? Readable.from(environment.stdin) : createReadStream(file);
  const chains = new AuditChains();
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) chains.take(line);
  } catch (error) {
    throw new CommandError(ExitCode.Usage, `${file ?? 'standard input'} cannot be read: ${(error as Error).message}`);
  }
  const { records, boots, missing, breaks } = chains.report();
  if (records === 0) throw new CommandError(ExitCode.NotFound, 'no audit record was found; they are in the log of the container guard');
  for (const { line, problem } of breaks.slice(0, SHOWN)) environment.terminal.out(`line ${line}: ${problem}\n`);
  if (breaks.length > SHOWN) environment.terminal.out(`and ${breaks.length - SHOWN} more\n`);
  const left = missing === 0 ? '' : `; guards report ${missing} more that could not be written`;
  environment.terminal.out(`${count(records, 'record')} of ${count(boots, 'guard process', 'guard processes')}${left}\n`);
  if (breaks.length > 0) throw new CommandError(ExitCode.Refused, `the chain is broken in ${count(breaks.length, 'place')}`);
}

const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`;
