import { expect, inject, test, type TestContext } from 'vitest';
import type { MCPServerSpecInput } from '../../api/mcpserver.ts';
import { ConformantClient, type SDK } from '../conformant.ts';
import { Fleet } from '../fleet.ts';
import { EVERYTHING_PUBLISHED } from '../images/servers.ts';
import { kubectlFor } from '../kubectl.ts';

/** Legacy sessions with three replicas, in the hands of the official clients. */

/** The MCP project's own server, which asks its clients, and keeps events for those who come back. */
const everything: MCPServerSpecInput = {
  container: { image: EVERYTHING_PUBLISHED, imagePullPolicy: 'IfNotPresent', command: ['node', 'dist/index.js', 'streamableHttp'] },
  transport: { port: 3001 },
  replicas: 3,
  resources: { requests: { cpu: '10m' } },
};

async function deployed({ onTestFinished }: TestContext, name: string, spec: MCPServerSpecInput) {
  const fleet = await Fleet.of(inject('kubeconfig'));
  onTestFinished(() => fleet[Symbol.asyncDispose]());
  const kubectl = await kubectlFor(inject('kubeconfig'));
  const namespace = await fleet.namespace();
  await fleet.apply(namespace, name, spec);
  await fleet.ready(namespace, name, 180);
  return { fleet, kubectl, namespace, url: await fleet.url(namespace, name) };
}

const SDKS: readonly SDK[] = ['v1', 'v2'];

test('any replica takes the requests of a session: answers to questions, and streams that are resumed', async (context) => {
  const { fleet, namespace } = await deployed(context, 'everything', everything);
  const addresses = (await fleet.pods(namespace, 'everything')).map(({ status }) => status?.podIP ?? '');
  expect(addresses).toHaveLength(3);
  for (const sdk of SDKS) {
    const visits: string[] = [];
    let cut = 0;
    /**
     * Each request goes to the next pod, and the stream of the long call breaks off after its first event. The call is over before the client resumes: this
     * server keeps what was sent meanwhile, but sends nothing more on a stream that was resumed.
     */
    const roundRobin: typeof fetch = async (_, init) => {
      const address = addresses[visits.length % addresses.length] ?? '';
      const lastEventId = new Headers(init?.headers).get('last-event-id');
      visits.push(`${init?.method} ${address}${lastEventId === null ? '' : ' resumed'}`);
      const response = await fetch(`http://${address}:15080/mcp`, init);
      const long = typeof init?.body === 'string' && init.body.includes('trigger-long-running-operation');
      if (!long || response.body === null) return response;
      cut += 1;
      return new Response(broken(response.body), { status: response.status, headers: response.headers });
    };
    const client = await ConformantClient.connect(sdk, new URL('http://service.example/mcp'), roundRobin);
    for (let round = 0; round < 4; round += 1) {
      expect(await client.call('trigger-elicitation-request'), sdk).toContain('Ada');
    }
    const done = await client.call('trigger-long-running-operation', { duration: 0.4, steps: 2 });
    expect(done, sdk).toContain('Long running operation completed');
    expect(cut, sdk).toBe(1);
    expect(
      visits.filter((visit) => visit.endsWith('resumed')),
      sdk,
    ).not.toEqual([]);
    expect(client.sessions, sdk).toBe(1);
    await client.close();
  }
}, 240_000);

/** The stream up to its first event, as a connection that breaks off leaves it. */
function broken(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    pull: async (controller) => {
      const { value } = await reader.read();
      if (value !== undefined) controller.enqueue(value);
      await reader.cancel();
      controller.error(new TypeError('the network went away'));
    },
  });
}
