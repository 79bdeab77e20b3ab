import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PLANTED } from './planted.ts';
import { ARTIFACTS } from './rights.ts';
import { criLines, type Findings, secretsIn, Trail } from './trail.ts';

/** Secrets of the examples, which cannot have the mark of those of the suites. */
const OF_EXAMPLES = ['not-a-real-token'];

export interface TrailReport {
  readonly findings: Findings;
  readonly clusters: number;
  readonly boots: number;
  readonly records: number;
  /** Characters of logs, events and statuses in which no secret may be. */
  readonly searched: number;
}

/** Reads what the witnesses of clusters kept (witness.ts), each in a folder of its own. */
export async function inspectTrails(folders: readonly string[]): Promise<TrailReport> {
  const trail = new Trail();
  const findings: string[] = [];
  let searched = 0;
  const search = (where: string, text: string): void => {
    searched += text.length;
    for (const secret of secretsIn(text, [PLANTED, ...OF_EXAMPLES])) findings.push(`${where} holds ${secret}`);
  };
  for (const folder of folders) {
    for (const { pod, container, boots } of await logs(join(folder, 'logs'))) {
      for (const [boot, content] of boots) {
        search(`the log of ${pod}/${container}`, content);
        if (container === 'guard') trail.add(`${pod}/${boot}`, criLines(content));
      }
    }
    search(`an event of ${folder}`, await text(join(folder, 'events.jsonl')));
    for (const kind of ['mcpservers', 'mcptoolpolicies']) {
      search(`a status among the ${kind} of ${folder}`, statuses(await text(join(folder, `${kind}.jsonl`))));
    }
  }
  return {
    findings: [...trail.findings, ...new Set(findings)],
    clusters: folders.length,
    boots: trail.boots,
    records: trail.records,
    searched,
  };
}

interface ContainerLogs {
  readonly pod: string;
  readonly container: string;
  /** By restart; the parts of a rotated log in their order. */
  readonly boots: ReadonlyMap<string, string>;
}

async function logs(folder: string): Promise<ContainerLogs[]> {
  const found: ContainerLogs[] = [];
  for (const pod of await names(folder)) {
    for (const container of await names(join(folder, pod))) {
      const boots = new Map<string, string[]>();
      for (const file of await names(join(folder, pod, container))) {
        const restart = file.split('-')[0] ?? '';
        boots.set(restart, [...(boots.get(restart) ?? []), await text(join(folder, pod, container, file))]);
      }
      // Each part begins with the time of its first line.
      const whole = new Map([...boots].map(([restart, parts]) => [restart, parts.toSorted().join('')]));
      found.push({ pod, container, boots: whole });
    }
  }
  return found;
}

/** What the operator wrote; the rest of an object is the user's own. */
function statuses(jsonLines: string): string {
  return jsonLines
    .split('\n')
    .map((line) => {
      try {
        return JSON.stringify((JSON.parse(line) as { readonly object?: { readonly status?: unknown } }).object?.status ?? '');
      } catch {
        // The end of a watch that was cut off.
        return '';
      }
    })
    .join('\n');
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);
const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** `node e2e/trails.ts`, after all suites: exits with 1 when a request was not closed once, a chain is broken or a planted secret was told. */
if (import.meta.main) {
  const folders = (await names(ARTIFACTS)).map((name) => join(ARTIFACTS, name, 'witness'));
  const kept = (await Promise.all(folders.map(async (folder) => ((await names(folder)).length > 0 ? [folder] : [])))).flat();
  const { findings, clusters, boots, records, searched } = await inspectTrails(kept);
  const megabytes = (searched / 1e6).toFixed(1);
  process.stdout.write(
    findings.length === 0
      ? `${records} audit records of ${boots} guards in ${clusters} clusters: one for each request, all chains whole; no secret in ${megabytes} MB of logs, events and statuses\n`
      : `${findings.slice(0, 50).join('\n')}\n${findings.length} findings\n`,
  );
  process.exitCode = findings.length === 0 && records > 0 ? 0 : 1;
}
