import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  AcceptedReason,
  AvailableReason,
  ExposedReason,
  PolicyAppliedReason,
  ReadyReason,
  ReconcilingReason,
  StalledReason,
  VerifiedReason,
} from '../api/conditions.ts';
import { PolicyAcceptedReason, PolicyReadyReason, ProgrammedReason } from '../api/policyconditions.ts';
import { Metrics } from '../guard/metrics.ts';
import { RefusalCode } from '../guard/refusalcode.ts';
import { DenyCode } from '../mcp/policy/decision.ts';
import { mergeKeys } from '../operator/controllers/mcpserver/podtemplate.ts';
import { help } from '../operator/settings.ts';
import { anchors, codeBlocks, firstCells, links, type Page, pages } from './docs.ts';
import { ROOT } from './sources.ts';

const all = await pages();
const byPath = new Map(all.map((each) => [each.path, each]));

function page(path: string): Page {
  const found = byPath.get(path);
  if (found === undefined) throw new Error(`${path} is gone`);
  return found;
}

/** What stands under a heading of the second level. */
function part({ path, text }: Page, heading: string): string {
  const [, after] = text.split(`\n## ${heading}\n`);
  if (after === undefined) throw new Error(`${path} has no section ${heading}`);
  return after.split('\n## ')[0] ?? '';
}

describe('links', () => {
  test.each(all.map((each) => [each.path, each] as const))('%s leads somewhere', (path, from) => {
    const broken = links(from).filter(({ file, anchor }) => {
      const target = file === '' ? path : join(dirname(path), file).replace(/\/$/, '');
      if (!existsSync(join(ROOT, target))) return true;
      const to = byPath.get(target);
      return anchor !== undefined && to !== undefined && !anchors(to).has(anchor) && !to.text.includes(`<a id="${anchor}">`);
    });
    expect(broken).toEqual([]);
  });

  test('every page is reached from the index', () => {
    const seen = new Set(['docs/README.md']);
    for (const path of seen) {
      const from = byPath.get(path);
      if (from === undefined) continue;
      for (const { file } of links(from)) if (file !== '') seen.add(join(dirname(path), file));
    }
    expect(all.map(({ path }) => path).filter((path) => path.startsWith('docs/') && !seen.has(path))).toEqual([]);
  });
});

describe('docs/how-to/troubleshooting.md', () => {
  const { text } = page('docs/how-to/troubleshooting.md');
  const reasons = new Set(
    [
      ReadyReason,
      AcceptedReason,
      AvailableReason,
      VerifiedReason,
      PolicyAppliedReason,
      ExposedReason,
      ReconcilingReason,
      StalledReason,
    ].flatMap((table) => Object.values(table)),
  );
  const entries = [...text.matchAll(/^### (\w+)\n([\s\S]*?)(?=^##|$(?![\s\S]))/gm)].map(({ 1: reason = '', 2: body = '' }) => ({
    reason,
    body,
  }));
  const harmless = firstCells(text.slice(text.indexOf('\n## Nothing to do\n')));

  test('has every reason of api/conditions.ts, once', () => {
    expect([...entries.map(({ reason }) => reason), ...harmless].toSorted()).toEqual([...reasons].toSorted());
  });

  test.each(entries.map(({ reason, body }) => [reason, body]))('%s has a command that shows more', (_, body) => {
    expect(codeBlocks({ path: '', text: body ?? '' }).map(({ language }) => language)).toContain('sh');
  });
});

describe('docs/how-to/troubleshooting.md, about policies', () => {
  const section = part(page('docs/how-to/troubleshooting.md'), 'Reasons of an MCPToolPolicy');

  test('has every reason of api/policyconditions.ts, once', () => {
    const reasons = new Set([PolicyReadyReason, PolicyAcceptedReason, ProgrammedReason].flatMap((table) => Object.values(table)));
    expect(firstCells(section).toSorted()).toEqual([...reasons].toSorted());
  });
});

test('docs/tool-policies.md has every code of a refusal', () => {
  const rows = part(page('docs/tool-policies.md'), 'Why was this refused?').matchAll(/^\| (`.*?) \|/gm);
  const codes = [...rows].flatMap(({ 1: cell = '' }) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(({ 1: code = '' }) => code));
  expect([...new Set(codes)].toSorted()).toEqual([...Object.values(DenyCode), ...Object.values(RefusalCode)].toSorted());
});

test('docs/guard-process.md has every metric with its labels', async () => {
  const none = (): number => 0;
  const metrics = new Metrics({ calls: none, streams: none, auditMissing: none, knownTools: none });
  const names = [...(await metrics.text()).matchAll(/^# TYPE (\S+) /gm)].map(({ 1: name = '' }) => name);
  const told = firstCells(part(page('docs/guard-process.md'), 'Metrics')).map((cell) => cell.replace(/\{.*\}$/, ''));
  expect(names.length).toBeGreaterThan(10);
  expect(told.toSorted()).toEqual(names.toSorted());
});

test('docs/install.md has every flag in its own words', () => {
  const { text } = page('docs/install.md');
  const flags = [...help().matchAll(/^ {2}(--[a-z-]+) +(\S.*)$/gm)].map(({ 1: flag, 2: words }) => `| \`${flag}\` | ${words} |`);
  expect(flags.length).toBeGreaterThan(15);
  expect([...text.matchAll(/^\| `--.*$/gm)].map(({ 0: row }) => row)).toEqual(flags);
});

test('docs/pod-template.md has every merge key', () => {
  const rows = Object.entries(mergeKeys).map(([list, key]) => `| \`${list.replace('.*', '[*]')}\` | \`${key}\` |`);
  expect([...page('docs/pod-template.md').text.matchAll(/^\| `spec\..*$/gm)].map(({ 0: row }) => row)).toEqual(rows);
});
