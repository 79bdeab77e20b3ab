import { describe, expect, test } from 'vitest';
import { findRecord, recordedCaller } from './auditlog.ts';
import { KubeApi } from './kubeapi.ts';

const line = (requestId: string, more: object = {}): string =>
  JSON.stringify({
    audit: {
      time: '2026-11-20T12:00:00.000Z',
      seq: 7,
      prev: 'sha256:0',
      server: { namespace: 'agents', name: 'github' },
      caller: { type: 'jwt', issuer: 'https://idp.example.com', subject: 'u1', groups: ['oncall'] },
      method: 'tools/call',
      object: { type: 'tool', name: 'pods_delete', class: 'Destructive', classSource: 'hint', pin: 'match' },
      decision: 'deny',
      code: 'CLASS',
      policy: 'agents/prod',
      generation: 3,
      result: { status: 200, bytes: 12 },
      requestId,
      ...more,
    },
  });

const pod = (name: string, containers: readonly string[], restartCount = 0) => ({
  metadata: { name, namespace: 'agents' },
  spec: { initContainers: containers.map((one) => ({ name: one })), containers: [{ name: 'server' }] },
  status: { initContainerStatuses: containers.map((one) => ({ name: one, restartCount })) },
});

/** An API server that knows these pods and logs, and remembers what it was asked for. */
function cluster(logs: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const server = new URL('http://api.example.com');
  const pods = [pod('github-1', ['guard']), pod('github-2', ['guard'], 1), pod('bare-1', [])];
  async function* body(text: string) {
    yield Buffer.from(text);
  }
  const api = new KubeApi({
    server,
    namespace: 'agents',
    send: ({ url }) => {
      const path = url.pathname.split('/').slice(6).join('/');
      asked.push(`${path}${url.searchParams.has('previous') ? ' previous' : ''}`);
      const text = path === '' ? JSON.stringify({ items: pods }) : logs[asked.at(-1) ?? ''];
      const answer = text === undefined ? { status: 400, text: JSON.stringify({ message: 'no such container' }) } : { status: 200, text };
      return Promise.resolve({ status: answer.status, headers: {}, body: body(answer.text) } as never);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  return { api, asked, find: (id: string) => findRecord(api, 'agents', undefined, id, new AbortController().signal) };
}

describe('the record of a request', () => {
  test('is found in the log of any guard, also of one that was restarted', async () => {
    const noise = `{"time":"x","level":"info","msg":"r2"}\nnot JSON r2\n${line('r22')}\n${line('x', { method: 'r2' })}\n`;
    const { find, asked } = cluster({
      'github-1/log': `${noise}${line('r1')}\n`,
      'github-2/log': noise,
      'github-2/log previous': `${noise}${line('r2')}\n`,
    });
    expect(await find('r2')).toMatchObject({ pod: 'github-2', record: { requestId: 'r2', code: 'CLASS', policy: 'agents/prod' } });
    expect(asked.slice(1)).toEqual(['github-1/log', 'github-2/log', 'github-2/log previous']);
    expect(await find('r1')).toMatchObject({ pod: 'github-1' });
  });

  test('that nobody has is reported with the logs that could not be read', async () => {
    const { find } = cluster({ 'github-1/log': '', 'github-2/log': '' });
    await expect(find('r9')).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/looked at 2 pods.*github-2: no such container/),
    });
  });

  test.each<[sentence: string, caller: object | undefined, expected: object | undefined]>([
    [
      'a person',
      { type: 'jwt', issuer: 'i', subject: 's', groups: ['g'] },
      { type: 'jwt', issuer: 'i', subject: 's', groups: ['g'], scopes: [] },
    ],
    ['a ServiceAccount', { type: 'serviceAccount', subject: 'a/b' }, { type: 'serviceAccount', namespace: 'a', name: 'b' }],
    ['an API key', { type: 'apiKey', subject: 'ci', tunnel: 't' }, { type: 'apiKey', user: 'ci', tunnel: 't' }],
    ['nobody', undefined, undefined],
  ])('names %s', async (_, caller, expected) => {
    const { find } = cluster({ 'github-1/log': `${line('r1', { caller })}\n` });
    expect(recordedCaller((await find('r1')).record)).toEqual(expected);
  });
});
