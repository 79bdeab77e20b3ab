import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { serveEvents } from '../../../guard/testing/everything/events.ts';
import { legacyServer, serveLegacy } from '../../../guard/testing/everything/legacy.ts';
import { modernServer, serveModern } from '../../../guard/testing/everything/modern.ts';

/**
 * The servers that the official conformance suite asks for, one per start: `v1` and `v2` over streamable HTTP on that SDK, `events` over the
 * HTTP+SSE of 2024-11-05, `stdio-v1` and `stdio-v2`.
 *
 * `ADDRESS` is where it listens (default 127.0.0.1), port 8080; `ALLOWED_HOSTS` are names besides localhost that callers may know it by.
 */
const { ADDRESS: address = '127.0.0.1', ALLOWED_HOSTS: hosts = '', TOKEN: token } = process.env;
const place = { port: 8080, address, hosts: hosts.split(',').filter((host) => host !== '') };

const SERVERS: Readonly<Record<string, () => unknown>> = {
  v1: () => serveLegacy({}, place),
  v2: () => serveModern(place),
  events: () => serveEvents(token, place),
  'stdio-v1': () => legacyServer().connect(new StdioServerTransport()),
  'stdio-v2': () => serveStdio(modernServer),
};

const [wanted = ''] = process.argv.slice(2);
const serve = SERVERS[wanted];
if (serve === undefined) throw new TypeError(`no server ${wanted}; there are ${Object.keys(SERVERS).join(', ')}`);
await serve();
// Servers that drain by themselves are another test's subject.
process.on('SIGTERM', () => process.exit(0));
