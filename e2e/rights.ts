import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyRule } from '../operator/kube/wire.ts';
import { rights } from '../operator/rights.ts';
import { ROOT } from '../scripts/sources.ts';
import { AuditMark, type AuditedRequest, isOperator } from './audit.ts';

/** Where suites leave the logs of their clusters. */
export const ARTIFACTS = join(ROOT, 'e2e/.artifacts');

/** What the operator's ServiceAccount holds and what it did with it, each as `verb group resource`. */
export interface RightsReport {
  /** Granted by `config/rbac`, used by no suite. */
  readonly unused: readonly string[];
  /** Asked for and never granted. */
  readonly refused: readonly string[];
  /** Used, though `config/rbac` does not name them: some other binding gives too much. */
  readonly unnamed: readonly string[];
}

/** Held, and not to be seen in an audit log of these clusters. */
const INVISIBLE: Readonly<Record<string, string>> = {
  'update mcp-fleet.dev mcpservers/finalizers': 'checked by an admission plugin that is off unless the platform is OpenShift',
  'bind rbac.authorization.k8s.io clusterroles': 'checked by the API server while it admits a binding',
  // GuardRequired: admission lets no such server in any more. The integration tests store one without it, and see both used.
  'delete  services': 'used for servers that were stored before admission asked for the guard',
  'delete apps deployments': 'used for servers that were stored before admission asked for the guard',
};

/** Compares `config/rbac`, which is generated from `operator/rights.ts`, with the requests of audit logs. */
export async function compareRights(auditLogs: readonly string[]): Promise<RightsReport> {
  const { namespaced, clusterWide, leaderElection, metricsAuth } = rights(['view']);
  const held = new Set([...namespaced, ...clusterWide, ...leaderElection, ...metricsAuth].flatMap(named));
  const used = new Set<string>();
  const refused = new Set<string>();
  for (const path of auditLogs) {
    const log = await AuditMark.start(path).requests((each) => isOperator(each) && (each.resource !== '' || !isKinds(each.uri)), {
      open: true,
    });
    const granted = new Set(log.filter(({ authorized }) => authorized).flatMap(asked));
    for (const right of granted) used.add(right);
    // An API server that has just started refuses what it grants a moment later.
    for (const right of log.filter(({ authorized }) => !authorized).flatMap(asked)) if (!granted.has(right)) refused.add(right);
  }
  // Kinds are listed by streams where the API server can, as these can; others are asked for a list first.
  const isVisible = (right: string): boolean => INVISIBLE[right] === undefined && !right.startsWith('list ');
  return {
    unused: [...held].filter((right) => isVisible(right) && !used.has(right)).toSorted(),
    refused: [...refused].toSorted(),
    unnamed: [...used].filter((right) => !held.has(right)).toSorted(),
  };
}

export const named = ({ apiGroups = [], resources = [], nonResourceURLs = [], verbs }: PolicyRule): string[] => [
  ...apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group} ${resource}`))),
  ...nonResourceURLs.flatMap((url) => verbs.map((verb) => `${verb} ${url}`)),
];

/** Which kinds there are, everybody may ask. */
export const isKinds = (uri: string): boolean => /^\/apis?(\/|\?|$)/.test(uri);

/** To apply what does not exist is to create it, and the API server asks for both rights. */
function asked({ verb, code, group, resource, subresource, uri }: AuditedRequest): string[] {
  if (resource === '') return [`${verb} ${uri}`];
  const what = `${group} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
  return verb === 'patch' && code === 201 ? [`patch ${what}`, `create ${what}`] : [`${verb} ${what}`];
}

/** Audit logs of the suites that ran last. */
export async function auditLogs(): Promise<string[]> {
  const folders = await readdir(ARTIFACTS).catch(() => []);
  return folders.map((folder) => join(ARTIFACTS, folder, 'components/audit.log')).filter((path) => existsSync(path));
}

/** `node e2e/rights.ts`, after all suites: exits with 1 when the operator has another right than it used. */
if (import.meta.main) {
  const logs = await auditLogs();
  const { unused, refused, unnamed } = await compareRights(logs);
  const findings = [
    ...unused.map((right) => `granted, used by no suite: ${right}`),
    ...refused.map((right) => `refused: ${right}`),
    ...unnamed.map((right) => `used, not in config/rbac: ${right}`),
  ];
  process.stdout.write(
    findings.length === 0 ? `The operator has exactly the rights that it used (${logs.length} audit logs)\n` : `${findings.join('\n')}\n`,
  );
  process.exitCode = findings.length === 0 && logs.length > 0 ? 0 : 1;
}
