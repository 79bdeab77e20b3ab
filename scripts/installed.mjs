// Exit code 0 when node_modules holds what package-lock.json names. Plain JavaScript: it runs under the machine's own Node, before anything is installed.
import { readFileSync } from 'node:fs';

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`Node.js 20 or later is needed, this is ${process.version}: https://nodejs.org/en/download`);
  process.exit(2);
}

function packages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

const wanted = packages('package-lock.json');
const present = packages('node_modules/.package-lock.json');
if (present === undefined) {
  process.exit(1);
}
for (const [path, { version, optional, devOptional, peer }] of Object.entries(wanted)) {
  // Optional packages are for other platforms, most of them.
  const mayLack = path === '' || optional || devOptional || peer;
  if (present[path]?.version !== version && !(mayLack && present[path] === undefined)) {
    process.exit(1);
  }
}
