import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ROOT } from '../../scripts/sources.ts';
import { operatedCluster } from '../operated.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly kubeconfig: string;
    readonly auditLog: string;
    readonly npmRegistry: string;
    readonly pypiIndex: string;
  }
}

/** One cluster for all suites of this project: each test has namespaces of its own. Vitest calls this once. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const operated = await operatedCluster({
    name: 'e2e',
    audit: true,
    metricsServer: true,
    progress: (line) => process.stdout.write(`${line}\n`),
  });
  const { cluster, registry } = operated;
  project.provide('kubeconfig', cluster.kubeconfigPath);
  project.provide('auditLog', cluster.auditLogPath ?? '');
  project.provide('npmRegistry', registry?.npmUrl ?? '');
  project.provide('pypiIndex', registry?.pypiUrl ?? '');
  return async () => {
    // Kept after every run: whoever looks for them does so because something failed.
    await cluster.saveArtifacts(join(ROOT, 'e2e/.artifacts/suites'));
    await operated[Symbol.asyncDispose]();
  };
}
