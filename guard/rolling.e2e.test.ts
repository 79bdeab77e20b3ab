import { expect, test } from 'vitest';
import { bundle } from './testing/bundle.ts';
import type { Pod } from './testing/pods.ts';
import { balanced, freePort, startPod } from './testing/pods.ts';
import { CALL, HEADERS, INITIALIZE } from './testing/requests.ts';
import { eventually } from './testing/running.ts';

test('two hundred sessions survive a rolling restart: a client that begins anew on 404 sees no error', async () => {
  const port = await freePort();
  let members: Pod[] = [];
  for (const index of [1, 2, 3]) members.push(await startPod(index, port, bundle(), '4'));
  const errors: string[] = [];
  const state = { running: true, calls: 0 };
  const send = balanced(() => members);
  /** Begins anew where MCP asks for it, and goes to another pod where HTTP does: 503 with Retry-After, or no connection. */
  const session = async (): Promise<void> => {
    let id: string | undefined;
    while (state.running) {
      const body = id === undefined ? INITIALIZE : CALL;
      const headers = { ...HEADERS, ...(id === undefined ? {} : { 'mcp-session-id': id }) };
      const response = await send('', { method: 'POST', headers, body: JSON.stringify(body) }).catch(() => undefined);
      const text = await response?.text().catch(() => undefined);
      state.calls += response?.status === 200 && id !== undefined ? 1 : 0;
      if (response?.status === 404) id = undefined;
      else if (response?.status === 200 && text !== undefined && !text.includes('"error"'))
        id ??= response.headers.get('mcp-session-id') ?? undefined;
      else if (response !== undefined && response.status !== 503) errors.push(`${response.status} ${text}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 500);
      });
    }
  };
  const sessions = Array.from({ length: 200 }, session);
  const served = async (count: number): Promise<void> => {
    const enough = state.calls + count;
    await eventually(() => state.calls >= enough, `${count} more calls`, 60_000);
  };
  for (const index of [4, 5, 6]) {
    await served(400);
    members = [...members, await startPod(index, port, bundle(), '4')];
    const leaving = members[0];
    members = members.slice(1);
    await leaving?.guard.stop();
    await leaving?.server.stop();
  }
  await served(400);
  state.running = false;
  await Promise.all(sessions);
  const leave = async ({ guard, server }: Pod): Promise<void> => {
    await guard.stop();
    await server.stop();
  };
  await Promise.all(members.map(leave));
  expect(errors).toEqual([]);
}, 170_000);
