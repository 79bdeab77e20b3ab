import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { eventually } from '../../guard/testing/running.ts';
import type { Subject } from './process.ts';
import { memory } from './process.ts';

/** KiB of own memory that an open GET stream takes, by opening so many. */
export async function memoryPerStream(subject: Subject, streams: number): Promise<number> {
  const { port } = new URL(subject.url);
  // The first ones let the process grow what all of them share.
  const opened = await open(Number(port), 100);
  const before = memory(subject).anonymous;
  opened.push(...(await open(Number(port), streams)));
  const after = memory(subject).anonymous;
  for (const socket of opened) socket.destroy();
  return (after - before) / streams;
}

async function open(port: number, count: number): Promise<Socket[]> {
  const heard: boolean[] = [];
  const sockets = Array.from({ length: count }, (_, index) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => (heard[index] = true));
    socket.write('GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n');
    return socket;
  });
  await eventually(() => heard.filter(Boolean).length === count, 'all streams are open', 60_000);
  return sockets;
}
