import { expect, inject, test, type TestContext } from 'vitest';
import { type Outcome, typed } from '../commandline.ts';
import { faulty, Fleet } from '../fleet.ts';

/** A namespace of its own, and a command line that is in it. */
async function scene({
  onTestFinished,
}: TestContext): Promise<{ fleet: Fleet; namespace: string; type: (...argv: string[]) => Promise<Outcome> }> {
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const namespace = await fleet.namespace();
  return { fleet, namespace, type: (...argv) => typed(inject('kubeconfig'), ...argv, '-n', namespace) };
}

test.concurrent('a server is shown, listed, called, read and restarted', async (context) => {
  const { fleet, namespace, type } = await scene(context);
  await fleet.apply(namespace, 'good', faulty(['--sessions', '--era', 'Legacy']));
  await fleet.ready(namespace, 'good');

  const tree = await type('tree', 'good');
  expect(tree.err).toBe('');
  for (const line of [
    /^MCPServer\/good +True +Ready, \d+ tools/m,
    /├─ Deployment\/good +True +1 of 1 pods ready/,
    /Pod\/good-\S+ +True +Running, guarded/,
    /EndpointSlice\/good-\S+ +True +1 of 1/,
    /ConfigMap\/good-tools/,
  ]) {
    expect(tree.out).toMatch(line);
  }
  expect((await type('status', 'good')).out).toContain(`good in namespace ${namespace}: Ready (Ready)`);
  expect((await type('tools', 'good')).out).toMatch(/^echo +\w+/m);
  expect(await type('call', 'good', 'where')).toMatchObject({ code: 0, out: expect.stringMatching(/good-/) });
  expect(await type('call', 'good', 'wait', 'milliseconds=50')).toMatchObject({ code: 0 });
  // Some SDKs answer with an error, others with a result that says so.
  expect([5, 6]).toContain((await type('call', 'good', 'no_such_tool')).code);
  expect(await type('logs', 'good', '--tail', '5')).toMatchObject({ code: 0, out: expect.stringMatching(/\S/) });

  const [before] = await fleet.pods(namespace, 'good');
  expect(await type('restart', 'good')).toMatchObject({ code: 0 });
  await fleet.eventually(
    () => fleet.pods(namespace, 'good'),
    (pods) => pods.length === 1 && pods[0]?.metadata.uid !== before?.metadata.uid,
    90,
  );
});

test.concurrent('sessions of a call stay with one of several pods', async (context) => {
  const { fleet, namespace, type } = await scene(context);
  await fleet.apply(namespace, 'many', faulty(['--sessions', '--era', 'Legacy'], { replicas: 3 }));
  await fleet.ready(namespace, 'many');
  await fleet.until(namespace, 'many', 'Available', { status: 'True' });
  for (let count = 0; count < 5; count++)
    expect(await type('call', 'many', 'where')).toMatchObject({ code: 0, out: expect.stringMatching(/many-/) });
  const logs = await type('logs', 'many');
  expect(
    new Set(
      logs.out
        .split('\n')
        .map((line) => line.split(' ')[0])
        .filter((pod) => pod?.startsWith('many-')),
    ).size,
  ).toBe(3);
});

test.concurrent('a server that crashes tells why, in every command', async (context) => {
  const { fleet, namespace, type } = await scene(context);
  await fleet.apply(namespace, 'bad', faulty(['--mode', 'Crash', '--message', 'the license has expired']));
  await fleet.until(namespace, 'bad', 'Available', { status: 'False', reason: 'CrashLooping' });
  expect((await type('tree', 'bad')).out).toMatch(
    /bad is not Ready \(CrashLooping\): [^→]*the license has expired\n→ Read the end of the log: mcp-fleet logs bad --previous/,
  );
  expect((await type('status', 'bad')).out).toMatch(/What to do\n +CrashLooping: Read the end of the log/);
  expect(await type('call', 'bad', 'echo')).toMatchObject({ code: 4, err: expect.stringContaining('CrashLooping') });
  expect(await type('tools', 'bad')).toMatchObject({ code: 4 });
  await fleet.eventually(
    () => type('logs', 'bad', '--previous'),
    ({ out }) => out.includes('the license has expired'),
  );
});
