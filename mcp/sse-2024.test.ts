import { describe, expect, test } from 'vitest';
import { endpointOf } from './sse-2024.ts';

describe('the address in an endpoint event', () => {
  const base = new URL('https://mcp.example.com/app/sse');
  const cases: Record<string, { data: string; event?: string; to?: string }> = {
    'may be a path': { data: '/messages?sessionId=1', to: 'https://mcp.example.com/messages?sessionId=1' },
    'may be relative': { data: 'messages', to: 'https://mcp.example.com/app/messages' },
    'may be whole': { data: 'https://mcp.example.com/messages', to: 'https://mcp.example.com/messages' },
    'may not be on another host': { data: 'https://attacker.example/messages' },
    'may not be on another host without scheme': { data: '//attacker.example/messages' },
    'may not be without TLS': { data: 'http://mcp.example.com/messages' },
    'may not have credentials': { data: 'https://a:b@mcp.example.com/messages' },
    'may not be something else': { data: 'javascript:alert(1)' },
    'may not be empty': { data: ' ' },
    'must be in an event of that name': { data: '/messages', event: 'message' },
  };
  test.each(Object.entries(cases))('%s', (_, { data, event = 'endpoint', to }) => {
    expect(endpointOf({ event, data, id: undefined }, base)?.href).toBe(to);
  });
});
