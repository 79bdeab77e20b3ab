import { describe, expect, it } from 'vitest';
import { ACCEPTED } from '../api/admission.accepted.ts';
import { GUARD_CONTAINER } from '../api/group.ts';
import type { MCPServerSpecInput } from '../api/mcpserver.ts';
import { FLAGS, type Settings, settings } from '../guard/settings.ts';
import { input } from '../operator/controllers/mcpserver/builders.ts';
import { hasWorkload } from '../operator/controllers/mcpserver/input.ts';
import { podTemplate } from '../operator/controllers/mcpserver/podspec.ts';

/** What the operator starts the guard of a server with, as the guard understands it. */
function started(spec: Partial<MCPServerSpecInput>): { readonly names: readonly string[]; readonly settings: Settings } {
  const { initContainers = [], containers = [] } = podTemplate(input({ ...spec, guard: { ...spec.guard, enabled: true } })).spec ?? {};
  const guard = [...initContainers, ...containers].find(({ name }) => name === GUARD_CONTAINER);
  if (guard === undefined) throw new Error('the pod has no guard');
  // What stands before the program is Node's.
  const { args: all = [] } = guard;
  const args = all.slice(all.findIndex((arg) => arg.endsWith('.mjs')) + 1);
  const environment = Object.fromEntries((guard.env ?? []).map(({ name, value = '10.0.0.1' }) => [name, value]));
  return { names: [...args.map((arg) => arg.replace(/^--|=.*/g, '')), ...Object.keys(environment)], settings: settings(args, environment) };
}

const known = new Set(FLAGS.flatMap(({ name }) => [name, `MCP_FLEET_GUARD_${name.toUpperCase().replaceAll('-', '_')}`]));
const withPods = Object.entries(ACCEPTED).filter(([, spec]) => hasWorkload(input({ guard: { enabled: true }, ...spec }).server));

describe('the guard knows how it is started', () => {
  it.each(withPods)('for a server %s', (_, spec) => {
    expect(started(spec).names.filter((name) => !known.has(name))).toEqual([]);
  });

  const container = { image: 'server:v1' };
  const kinds: Record<string, [spec: Partial<MCPServerSpecInput>, expected: object]> = {
    'a server over HTTP': [
      { container, transport: { type: 'StreamableHTTP', port: 9000, path: '/v1' } },
      {
        awaitServer: true,
        podAddress: '10.0.0.1',
        upstream: { transport: 'StreamableHTTP', url: new URL('http://127.0.0.1:9000/v1'), host: 'localhost:9000' },
      },
    ],
    'a server over SSE': [
      { container, transport: { type: 'SSE', port: 8000, path: '/sse' } },
      { upstream: { transport: 'SSE', url: new URL('http://127.0.0.1:8000/sse') } },
    ],
    'a server over Stdio': [
      {
        container: { ...container, command: ['/server'] },
        transport: { type: 'Stdio' },
        stdio: { processes: 'PerSession', maxProcesses: 4 },
      },
      { upstream: { transport: 'Stdio', processes: 'PerSession', maxProcesses: 4 } },
    ],
    'a package over Stdio': [
      { package: { npm: { name: 'server', version: '1.0.0' } }, transport: { type: 'Stdio' } },
      { upstream: { transport: 'Stdio', processes: 'Shared' } },
    ],
    'a remote server': [
      { remote: { url: 'https://mcp.example.com/mcp', headers: [{ name: 'X-Org', value: 'a' }] } },
      {
        awaitServer: false,
        upstream: { url: new URL('https://mcp.example.com/mcp'), host: 'mcp.example.com', headers: '/etc/mcp-fleet/headers' },
      },
    ],
    'a Service': [
      { service: { name: 'existing', port: 8080 } },
      { awaitServer: false, upstream: { url: new URL('http://existing.agents.svc.cluster.local:8080/mcp') } },
    ],
    'what the spec says about it': [
      {
        container,
        authentication: { type: 'Guard', apiKeys: { secretName: 'keys' } },
        rollout: { drainSeconds: 45 },
        verification: { interval: '90s', timeout: '2s', headers: [{ name: 'X-Org', value: 'a' }] },
      },
      {
        apiKeys: '/etc/mcp-fleet/api-keys',
        sealingKeys: '/etc/mcp-fleet/keys',
        bundle: '/etc/mcp-fleet/policy/bundle.json',
        drain: 45_000,
        verification: { interval: 90_000, timeout: 2_000, headers: '/etc/mcp-fleet/verification' },
      },
    ],
  };
  it.each(Object.entries(kinds))('and takes from it what is meant: %s', (_, [spec, expected]) => {
    expect(started(spec).settings).toMatchObject(expected);
  });
});
