import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Lock extends AsyncDisposable {
  release(): Promise<void>;
}

/**
 * Takes a lock that is shared by all processes of this user on this machine.
 *
 * Guarantees: at most one holder; a holder that dies in any way loses it at once. It is a listening socket, which the kernel
 * closes; on Linux the name is abstract, so that nothing can be left behind. Those who wait are connected to the holder and
 * wake when it goes. Not fair, not re-entrant.
 *
 * @param onWait called once, with the holder's process id, when the lock is not free
 */
export async function lock(name: string, onWait: (holder: string) => void = () => undefined): Promise<Lock> {
  const address = socketAddress(name);
  for (let attempt = 0; ; attempt++) {
    const held = await listen(address);
    if (held !== undefined) {
      return held;
    }
    const holder = await waitForHolder(address, attempt === 0 ? onWait : () => undefined);
    if (holder === 'dead' && !address.startsWith('\0')) {
      await rm(address, { force: true });
    }
  }
}

function socketAddress(name: string): string {
  const unique = `mcp-fleet-operator-${process.getuid?.() ?? 0}-${name.replaceAll('/', '-')}`;
  return process.platform === 'linux' ? `\0${unique}` : join(tmpdir(), `${unique}.sock`);
}

async function listen(address: string): Promise<Lock | undefined> {
  const waiting = new Set<Socket>();
  const server = createServer((socket) => {
    waiting.add(socket);
    socket.on('error', () => undefined).on('close', () => waiting.delete(socket));
    socket.write(`${process.pid}\n`);
  });
  try {
    await bind(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      return undefined;
    }
    throw error;
  }
  server.unref();
  async function release(): Promise<void> {
    if (!server.listening) {
      return;
    }
    const closed = once(server, 'close');
    server.close();
    for (const socket of waiting) {
      socket.destroy();
    }
    await closed;
  }
  return { release, [Symbol.asyncDispose]: release };
}

function bind(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function waitForHolder(address: string, onWait: (holder: string) => void): Promise<'released' | 'dead'> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('data', (bytes) => onWait(bytes.toString().trim()));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? 'dead' : 'released'));
    socket.once('close', () => resolve('released'));
  });
}
