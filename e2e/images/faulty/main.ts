import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Change, options } from './behaviour.ts';
import { faultyServer } from './server.ts';
import type { FaultyServer } from './server.ts';

/**
 * An MCP server that fails on demand.
 *
 * Control port: `GET /` answers what the server has seen and how it behaves; `PUT /` with `{mode, message, delayMilliseconds, tools, pageSize}`,
 * each optional, changes it.
 */
const given = options(process.argv.slice(2), process.env);
const faulty = faultyServer(given, crash);
enter();
const sockets = new Set<Socket>();
faulty.tcp.on('connection', (socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});
if (given.behaviour.mode !== 'Deaf') {
  faulty.tcp.listen(given.port, given.address, () => process.stderr.write(`listening on port ${given.port}\n`));
}
const control = createServer((request, response) => {
  answer(request, faulty).then(
    (text) => response.writeHead(200, { 'content-type': 'application/json' }).end(text),
    (error: unknown) => response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error)),
  );
});
control.listen(given.controlPort, '0.0.0.0');
process.once('SIGTERM', drain);

/** Longest wait for clients that keep a connection and say nothing on it. */
const DRAIN_MILLISECONDS = 3_000;

/** Ends as well-behaved servers do: what is being asked is answered, and connections are closed with an answer, never under a request. */
function drain(): void {
  faulty.drain();
  faulty.tcp.close();
  if (sockets.size === 0) process.exit(0);
  for (const socket of sockets) socket.once('close', () => sockets.size === 0 && process.exit(0));
  setTimeout(() => process.exit(0), DRAIN_MILLISECONDS);
}

/** The modes that end the program. */
function enter(): void {
  switch (given.behaviour.mode) {
    case 'Crash':
      crash(given.behaviour.message);
      return;
    case 'WriteRoot':
      writeFileSync('/app/state.json', '{}');
      return;
    case 'NeedVariable':
      if (process.env['FAULTY_API_KEY'] === undefined) {
        crash('Error: environment variable FAULTY_API_KEY is required');
      }
      return;
    default:
  }
}

function crash(message: string): void {
  writeFileSync(process.stderr.fd, `${message}\n`);
  process.exit(1);
}

async function answer(request: IncomingMessage, server: FaultyServer): Promise<string> {
  const { behaviour, seen } = server;
  if (request.method === 'PUT') {
    const { mode, message, delayMilliseconds, pageSize, tools } = Change.parse(JSON.parse(await bodyText(request)));
    behaviour.message = message ?? behaviour.message;
    behaviour.delayMilliseconds = delayMilliseconds ?? behaviour.delayMilliseconds;
    behaviour.pageSize = pageSize ?? behaviour.pageSize;
    if (tools !== undefined) {
      server.changeTools(tools);
    }
    if (mode !== undefined) {
      behaviour.mode = mode;
      enter();
      for (const socket of sockets) {
        socket.destroy();
      }
    }
  }
  return JSON.stringify({ behaviour, seen });
}

async function bodyText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
