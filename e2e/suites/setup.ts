import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ROOT } from '../../scripts/sources.ts';
import { keptCluster } from '../kept.ts';
import { operatedCluster, SUITE_IMAGES } from '../operated.ts';
import type { RegistryUrls } from '../registry/daemon.ts';
import { Witness, witnessed } from '../witness.ts';

const ARTIFACTS = join(ROOT, 'e2e/.artifacts/suites');

declare module 'vitest' {
  interface ProvidedContext {
    readonly kubeconfig: string;
    readonly auditLog: string;
    readonly npmRegistry: string;
    readonly pypiIndex: string;
  }
}

/**
 * One cluster for all suites of this project: each test has namespaces of its own. Vitest calls this once.
 *
 * `E2E_KEEP=1` keeps the cluster for the next run, which takes it as it is; `E2E_KEEP=deploy` brings the operator of this checkout into it first.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const progress = (line: string): void => void process.stdout.write(`${line}\n`);
  const keep = process.env['E2E_KEEP'];
  if (keep !== undefined) {
    const kept = await keptCluster(keep === 'deploy', progress);
    provide(project, kept.kubeconfig, kept.auditLog, kept);
    const witness = await Witness.of(kept.folder);
    return async () => {
      await witness[Symbol.asyncDispose]();
      await rm(join(ARTIFACTS, 'witness'), { recursive: true, force: true });
      await cp(witnessed(kept.folder), join(ARTIFACTS, 'witness'), { recursive: true });
    };
  }
  const operated = await operatedCluster({ name: 'e2e', audit: true, metricsServer: true, images: SUITE_IMAGES, progress });
  const { cluster, registry } = operated;
  provide(project, cluster.kubeconfigPath, cluster.auditLogPath ?? '', registry);
  return async () => {
    // Kept after every run: whoever looks for them does so because something failed.
    await cluster.saveArtifacts(ARTIFACTS);
    await operated[Symbol.asyncDispose]();
  };
}

function provide(project: TestProject, kubeconfig: string, auditLog: string, registry: Partial<RegistryUrls> | undefined): void {
  project.provide('kubeconfig', kubeconfig);
  project.provide('auditLog', auditLog);
  project.provide('npmRegistry', registry?.npmUrl ?? '');
  project.provide('pypiIndex', registry?.pypiUrl ?? '');
}
