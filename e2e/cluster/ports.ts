import { createServer } from 'node:net';

/**
 * A port of the loopback address that nobody listens on. Chosen at random below the range from which systems take ports for
 * outgoing connections, so that the port stays free between here and the API server's start, and while that restarts.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isFree(port)) {
      return port;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
