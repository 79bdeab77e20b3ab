import { expect, test } from 'vitest';
import type { MCPServerSpecInput } from '../../../api/mcpserver.ts';
import { server } from './builders.ts';
import { unstartedSeconds } from './container.ts';

const startup = (more: object): Partial<MCPServerSpecInput> => ({ probes: { startup: { tcpSocket: { port: 8080 }, ...more } } });

const cases: Record<string, [spec: Partial<MCPServerSpecInput>, expected: readonly [least: number, most: number] | undefined]> = {
  // 30 tries every 2 s; each may wait for 1 s, and the container has 45 s to end.
  'a container': [{}, [57, 136]],
  'a package': [{ package: { npm: { name: 'a', version: '1.0.0' } } }, [297, 496]],
  'a long drain': [{ rollout: { drainSeconds: 300 } }, [57, 406]],
  'a probe of the user’s own': [startup({ initialDelaySeconds: 5, periodSeconds: 3, failureThreshold: 4 }), [13, 67]],
  'a probe without figures': [startup({}), [19, 79]],
  'a probe that gives up at once': [startup({ periodSeconds: 1, failureThreshold: 3 }), undefined],
  'a liveness probe, which ends containers too': [{ probes: { liveness: { tcpSocket: { port: 8080 } } } }, undefined],
  'stdio, which listens nowhere': [{ transport: { type: 'Stdio' } }, undefined],
};

test.each(Object.entries(cases))('%s says how long it ran when it never started', (_what, [spec, expected]) => {
  expect(unstartedSeconds(server(spec).spec)).toEqual(expected);
});
