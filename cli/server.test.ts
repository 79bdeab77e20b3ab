import { expect, test } from 'vitest';
import { mainContainer } from './server.ts';

test.each([
  ['server', 'of the pod', {}],
  ['guard', 'at a URL', { remote: { url: 'https://mcp.example.com/mcp' } }],
  ['guard', 'behind a Service', { service: { name: 'tickets', port: 80 } }],
])('container %s tells most of a server %s', (container, _, spec) => {
  expect(mainContainer({ spec })).toBe(container);
});
