import { once } from 'node:events';
import type { Server } from 'node:http';

/** Where a fixture listens, and the names by which callers know it besides `localhost`. */
export interface Place {
  readonly port: number;
  readonly address: string;
  readonly hosts: readonly string[];
}

/** A free port of the loopback interface. */
export const LOOPBACK: Place = { port: 0, address: '127.0.0.1', hosts: [] };

export interface Listening {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

export async function listening(http: Server, { port, address }: Place): Promise<Listening> {
  http.listen(port, address);
  await once(http, 'listening');
  const bound = http.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    stop: async () => {
      const closed = once(http, 'close');
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}
