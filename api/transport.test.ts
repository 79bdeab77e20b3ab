import { expect, test } from 'vitest';
import { parse } from './schema/plain.ts';
import { serverPath, serverPort, Transport } from './transport.ts';

test.each([
  ['nothing given', {}, 8080, '/mcp'],
  ['SSE', { type: 'SSE' }, 8080, '/sse'],
  ['port and path given', { port: 3000, path: '/v1' }, 3000, '/v1'],
  ['Stdio', { type: 'Stdio' }, undefined, undefined],
])('with %s, a server answers at its own or the default place', (_sentence, given, port, path) => {
  const transport = parse(Transport, given);
  expect(serverPort(transport)).toBe(port);
  expect(serverPath(transport)).toBe(path);
});
