import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { legacyServer } from './legacy.ts';
import { modernServer } from './modern.ts';

/** The everything server over stdio: `legacy` (SDK v1) or `modern` (SDK v2). On SIGUSR2 it ends as if it had crashed. */
process.on('SIGUSR2', () => process.exit(7));
if (process.argv[2] === 'modern') {
  serveStdio(modernServer);
} else {
  await legacyServer().connect(new StdioServerTransport());
}
