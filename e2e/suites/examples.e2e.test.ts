import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { ROOT } from '../../scripts/sources.ts';
import { Fleet } from '../fleet.ts';
import { kubectlFor } from '../kubectl.ts';

const EXAMPLES = join(ROOT, 'examples');

interface Expectation {
  readonly server: string;
  /** Must be listed. */
  readonly tool: string;
  /** The tool is called with it; absent where it would need the internet. */
  readonly call?: { readonly args: Readonly<Record<string, unknown>>; readonly answer: RegExp };
}

/** What each example must do; a file without an entry fails the first test. */
const EXPECTATIONS: Readonly<Record<string, (namespace: string) => Expectation>> = {
  'from-pypi.yaml': () => ({ server: 'duckduckgo', tool: 'search' }),
  'configured.yaml': (namespace) => ({ server: 'configured', ...listsPods(namespace, /configured-\S+ +2\/2/) }),
  'autoscaled.yaml': (namespace) => ({ server: 'autoscaled', ...listsPods(namespace, /autoscaled-\S+[^]*\n[^]*autoscaled-/) }),
  'exposed.yaml': () => ({ server: 'exposed', tool: 'echo', call: { args: { message: 'hello' }, answer: /Echo: hello/ } }),
  'with-secrets.yaml': () => ({
    server: 'with-secrets',
    tool: 'get-env',
    call: { args: {}, answer: /(?=[^]*TICKETS_TOKEN\W+not-a-real-token)(?=[^]*TICKETS_REGION\W+eu-central)/ },
  }),
  'private-network.yaml': () => ({
    server: 'private-network',
    tool: 'echo',
    call: { args: { message: 'hello' }, answer: /Echo: hello/ },
  }),
};

function listsPods(namespace: string, answer: RegExp): Pick<Expectation, 'tool' | 'call'> {
  return { tool: 'pods_list_in_namespace', call: { args: { namespace }, answer } };
}

test('every example is exercised', async () => {
  const files = (await readdir(EXAMPLES)).filter((file) => file.endsWith('.yaml'));
  expect(files.toSorted()).toEqual(Object.keys(EXPECTATIONS).toSorted());
});

test.concurrent.each(Object.entries(EXPECTATIONS))('examples/%s becomes a server that answers', async (file, expectation) => {
  await using fleet = await Fleet.of(inject('kubeconfig'));
  const namespace = await fleet.namespace();
  const kubectl = await kubectlFor(inject('kubeconfig'));
  await kubectl(['apply', '--server-side', '-n', namespace, '-f', join(EXAMPLES, file)]);
  const { server, tool, call } = expectation(namespace);
  await fleet.until(namespace, server, 'Available', { status: 'True' }, 150);
  const { status } = await fleet.until(namespace, server, 'Verified', { status: 'True' }, 60);
  expect(status?.tools?.names).toContain(tool);
  if (call !== undefined) {
    expect(await fleet.call(namespace, server, tool, call.args)).toMatch(call.answer);
  }
});
