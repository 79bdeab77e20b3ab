import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const MOUNT = '/sys/fs/cgroup';

/**
 * All pods of a cluster together count as one group beside the single processes of this machine; with the share of one of them, servers did not
 * start within a minute on a busy machine. Eight times the default, in the units of each version.
 */
const SHARE = { 'cpu.shares': '8192', 'cpu.weight': '800' } as const;

/** Makes the group below which the kubelet keeps its pods: in every hierarchy of version 1, or in the one of version 2. */
export async function createCgroup(name: string): Promise<void> {
  if (isVersion2()) {
    await delegate(MOUNT);
    await mkdir(join(MOUNT, name), { recursive: true });
    await delegate(join(MOUNT, name));
    await giveShare(join(MOUNT, name));
    return;
  }
  for (const hierarchy of await hierarchies()) {
    await mkdir(join(hierarchy, name), { recursive: true });
    // A new cpuset is empty and holds no process until it has processors and memory nodes.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(hierarchy, file))) {
        await writeFile(join(hierarchy, name, file), await readFile(join(hierarchy, file)));
      }
    }
    await giveShare(join(hierarchy, name));
  }
}

async function giveShare(group: string): Promise<void> {
  for (const [file, share] of Object.entries(SHARE)) {
    if (existsSync(join(group, file))) await writeFile(join(group, file), share);
  }
}

/** Removes the group and everything below it; its processes must have ended. */
export async function removeCgroup(name: string): Promise<void> {
  const roots = isVersion2() ? [MOUNT] : await hierarchies();
  await Promise.all(roots.map((root) => removeTree(join(root, name))));
}

/** Hierarchies of version 1; folders only, not the links between their names. */
async function hierarchies(): Promise<string[]> {
  const entries = await readdir(MOUNT, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && existsSync(join(MOUNT, entry.name, 'cgroup.procs')))
    .map((entry) => join(MOUNT, entry.name));
}

function isVersion2(): boolean {
  return existsSync(join(MOUNT, 'cgroup.controllers'));
}

/**
 * Hands all controllers of a group to its children. A group other than the system's root may not have both controllers to hand out
 * and processes: in a container, its processes move one down first, as kind's entrypoint does it.
 */
async function delegate(group: string): Promise<void> {
  const controllers = (await readFile(join(group, 'cgroup.controllers'), 'utf8')).trim().split(/\s+/);
  const wanted = controllers.map((controller) => `+${controller}`).join(' ');
  const control = join(group, 'cgroup.subtree_control');
  try {
    await writeFile(control, wanted);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') {
      throw error;
    }
    const child = join(group, 'init');
    await mkdir(child, { recursive: true });
    for (const pid of (await readFile(join(group, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean)) {
      // Threads of the kernel and processes that just ended cannot be moved.
      await writeFile(join(child, 'cgroup.procs'), pid).catch(() => undefined);
    }
    await writeFile(control, wanted);
  }
}

/** The kernel lets a group go a moment after its last process. */
async function removeTree(group: string): Promise<void> {
  const entries = await readdir(group, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((child) => child.isDirectory())) {
    await removeTree(join(group, entry.name));
  }
  for (let attempt = 0; existsSync(group); attempt++) {
    try {
      await rmdir(group);
    } catch (error) {
      if (attempt === 50) {
        throw error;
      }
      await delay(20);
    }
  }
}
