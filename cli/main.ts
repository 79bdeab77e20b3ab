#!/usr/bin/env node
import { basename } from 'node:path';
import { inspect } from 'node:util';
import { ExitCode } from './exit.ts';
import { run } from './program.ts';
import { processTerminal } from './terminal.ts';

// kubectl finds plugins by file name: kubectl-mcp_fleet is `kubectl mcp-fleet`.
const name = basename(process.argv[1] ?? '').startsWith('kubectl-') ? 'kubectl mcp-fleet' : 'mcp-fleet';
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const environment = { terminal: processTerminal(), now: () => new Date(), signal: interrupted.signal, stdin: process.stdin };
try {
  process.exitCode = await run(environment, name, process.env['MCP_FLEET_VERSION'] ?? 'development', process.argv.slice(2));
} catch (error) {
  // A bug. Node would print it, too, and with it whatever a stranger wrote into it.
  environment.terminal.err(`${inspect(error)}\n`);
  process.exitCode = ExitCode.Failed;
}
