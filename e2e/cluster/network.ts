import { addresses, MACHINE_ADDRESS, SLOTS } from './addresses.ts';
import { lock } from '../lock.ts';
import { run, tryRun } from './run.ts';

/** Joins all clusters of this machine and the machine itself. */
const BRIDGE = 'mcpfleet0';

function machineEnd(slot: number): string {
  return `mcpfleet-n${slot}`;
}

/**
 * Connects the network namespace of process `pid` to the bridge and to the pods and Services of all other clusters. There is no
 * way to the outside.
 */
export async function connectNetwork(slot: number, pid: number): Promise<void> {
  await using _ = await lock('network');
  const own = addresses(slot);
  if ((await tryRun(['ip', 'link', 'show', BRIDGE])).code !== 0) {
    await run(['ip', 'link', 'add', BRIDGE, 'type', 'bridge']);
    await run(['ip', 'address', 'add', `${MACHINE_ADDRESS}/24`, 'dev', BRIDGE]);
    await run(['ip', 'link', 'set', BRIDGE, 'up']);
  }
  await run(['ip', 'link', 'add', machineEnd(slot), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)]);
  await run(['ip', 'link', 'set', machineEnd(slot), 'master', BRIDGE, 'up']);
  await inside(pid, ['ip', 'address', 'add', `${own.node}/24`, 'dev', 'eth0']);
  await inside(pid, ['ip', 'link', 'set', 'eth0', 'up']);
  await inside(pid, ['ip', 'link', 'set', 'lo', 'up']);
  for (const network of networksOf(slot)) {
    await run(['ip', 'route', 'replace', network, 'via', own.node, 'dev', BRIDGE]);
  }
  for (let other = 0; other < SLOTS; other++) {
    for (const network of other === slot ? [] : networksOf(other)) {
      await inside(pid, ['ip', 'route', 'add', network, 'via', addresses(other).node, 'dev', 'eth0']);
    }
  }
}

/** Takes the cluster's cable out or puts it back. */
export async function setCable(slot: number, state: 'up' | 'down'): Promise<void> {
  await run(['ip', 'link', 'set', machineEnd(slot), state]);
}

/** Removes what the cluster left on this machine, and the bridge with the last cluster. What is gone already is no error. */
export async function disconnectNetwork(slot: number): Promise<void> {
  await using _ = await lock('network');
  for (const network of networksOf(slot)) {
    await tryRun(['ip', 'route', 'del', network, 'dev', BRIDGE]);
  }
  await tryRun(['ip', 'link', 'del', machineEnd(slot)]);
  const members = await tryRun(['ip', '-o', 'link', 'show', 'master', BRIDGE]);
  if (members.code === 0 && members.stdout.trim() === '') {
    await tryRun(['ip', 'link', 'del', BRIDGE]);
  }
}

function networksOf(slot: number): string[] {
  const { podNetwork, serviceNetwork } = addresses(slot);
  return [podNetwork, serviceNetwork];
}

async function inside(pid: number, command: readonly [string, ...string[]]): Promise<void> {
  await run(['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...command]);
}
