import { defineConfig } from 'vitest/config';

// Folders are named so that nothing compiled or cached is ever picked up as a test.
const folders = '{api,mcp,compiler,operator,cli,guard,tunnel,scripts,e2e,bench}';

/** Two hundred sessions: pods that wait for a processor which others have are late for everybody. */
const ALONE = 'e2e/rolling.e2e.test.ts';

/**
 * Tests on real clusters meet a machine that is busy with other things once in a while: CI runs such a test again before it calls it broken.
 * Developers see every failure.
 */
const retry = process.env['CI'] === undefined ? 0 : 1;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [`${folders}/**/*.test.ts`],
          exclude: ['**/node_modules/**', '**/*.integration.test.ts', '**/*.e2e.test.ts'],
          // Far beyond what any takes: a busy machine is no failure.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          retry,
          include: [`${folders}/**/*.integration.test.ts`],
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Every file starts a control plane of its own: two at a time are what two cores carry.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          retry,
          include: [`${folders}/**/*.e2e.test.ts`],
          exclude: ['**/node_modules/**', 'e2e/suites/**', ALONE],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          // Most of them have a cluster of their own, and wait for it half of the time.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e-alone',
          retry,
          include: [ALONE],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
          // After all others.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'suites',
          retry,
          include: ['e2e/suites/**/*.e2e.test.ts'],
          globalSetup: ['e2e/suites/setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          // They share one cluster and wait for it most of the time; more pods at once than this and two cores are too slow for their probes.
          maxWorkers: 3,
          sequence: { concurrent: true },
          maxConcurrency: 4,
        },
      },
    ],
  },
});
