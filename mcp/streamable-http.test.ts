import { describe, expect, test } from 'vitest';
import { slashRedirect } from './streamable-http.ts';

describe('a redirect is followed', () => {
  const from = new URL('https://mcp.example.com/mcp?tenant=a');
  const cases: Record<string, { location: string | undefined; to?: string }> = {
    'that adds a slash': { location: '/mcp/?tenant=a', to: 'https://mcp.example.com/mcp/?tenant=a' },
    'that adds a slash, as an address': {
      location: 'https://mcp.example.com:443/mcp/?tenant=a',
      to: 'https://mcp.example.com/mcp/?tenant=a',
    },
    'but not to nowhere': { location: undefined },
    'but not to itself': { location: '/mcp?tenant=a' },
    'but not to another host': { location: 'https://attacker.example/mcp/?tenant=a' },
    'but not to another host without scheme': { location: '//attacker.example/mcp/?tenant=a' },
    'but not to another port': { location: 'https://mcp.example.com:8443/mcp/?tenant=a' },
    'but not without TLS': { location: 'http://mcp.example.com/mcp/?tenant=a' },
    'but not to another path': { location: '/mcp/admin/?tenant=a' },
    'but not with another query': { location: '/mcp/?tenant=b' },
    'but not with credentials': { location: 'https://a:b@mcp.example.com/mcp/?tenant=a' },
    'but not to what is no address': { location: 'http://[' },
  };
  test.each(Object.entries(cases))('%s', (_, { location, to }) => {
    expect(slashRedirect(location, from)?.href).toBe(to);
  });

  test('that removes a slash', () => {
    expect(slashRedirect('/mcp', new URL('http://x/mcp/'))?.href).toBe('http://x/mcp');
  });
});
