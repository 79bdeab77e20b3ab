/** What is known about a container that ended. */
export interface Crash {
  readonly exitCode: number;
  /** The kubelet's word: `Error`, `OOMKilled`, `Completed`, … */
  readonly reason: string | undefined;
  /** The end of its log. */
  readonly log: string;
  /** The startup probe gave up on it. */
  readonly neverListened: boolean;
}

/** What the spec says about it. */
export interface Expectation {
  readonly port: number;
  /** Names in `spec.env`. */
  readonly env: readonly string[];
  readonly memoryLimit: string | undefined;
  readonly readOnlyRootFilesystem: boolean;
  /** How long a container has run when the startup probe gave up on it: at least and at most. `undefined`: its length says nothing. */
  readonly unstartedSeconds: readonly [least: number, most: number] | undefined;
  /** By name of the volume. */
  readonly mounts: ReadonlyMap<string, MountedSource>;
}

/** What a mount of the spec is about. */
export interface MountedSource {
  readonly path: string;
  /** `Secret tls`, as far as there is one source alone. */
  readonly source: string | undefined;
}

type Hint = (crash: Crash, expected: Expectation) => string | undefined;

/** Why a container probably ended and what to change, the surest sign first; `undefined` without a sign. */
export function crashHint(crash: Crash, expected: Expectation): string | undefined {
  for (const hint of hints) {
    const text = hint(crash, expected);
    if (text !== undefined) return text;
  }
  return undefined;
}

const outOfMemory: Hint = ({ reason }, { memoryLimit }) =>
  reason === 'OOMKilled'
    ? `it used more memory than its limit${memoryLimit === undefined ? '' : ` of ${memoryLimit}`}: raise resources.limits.memory`
    : undefined;

const readOnlyFileSystem: Hint = ({ log }, { readOnlyRootFilesystem }) =>
  readOnlyRootFilesystem && /EROFS|read-only file ?system/i.test(log)
    ? 'it writes to its root file system, which is read-only: mount an emptyDir where it writes (mounts), or set securityContext.readOnlyRootFilesystem: false'
    : undefined;

const NAME = '([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)';
const ABSENT =
  '(?:missing|required|requires|not set|unset|not defined|undefined|must be (?:set|provided|defined)|not provided|is empty|not found)';
const missing = [new RegExp(`${NAME}\\b.{0,80}\\b${ABSENT}`), new RegExp(`\\b${ABSENT}.{0,80}?\\b${NAME}`, 'i')];
/** Error names of operating systems look like variables. */
const notVariables = /^(ERR_|E[A-Z]+_?[A-Z]*$|MODULE_NOT_FOUND)/;

const missingVariable: Hint = ({ log }, { env }) => {
  for (const pattern of missing) {
    const name = log
      .split('\n')
      .map((line) => pattern.exec(line)?.[1])
      .find((found) => found !== undefined && /^[A-Z0-9_]+$/.test(found));
    if (name !== undefined && !notVariables.test(name) && !env.includes(name))
      return `it seems to need the environment variable ${name}: add it to env`;
  }
  return undefined;
};

const otherPort: Hint = ({ log }, { port }) => {
  const found = /(?:listen|running|started|serving|bound)[^\n]*?(?:port\s*[:=]?\s*|:)(\d{2,5})\b/i.exec(log)?.[1];
  return found !== undefined && Number(found) !== port && Number(found) <= 65_535
    ? `its log speaks of port ${found}, but transport.port is ${port}: make them equal`
    : undefined;
};

const neverListened: Hint = (crash, { port }) =>
  crash.neverListened
    ? `the kubelet ended it because nothing listened on port ${port} in time: set transport.port to the port of the server, give it longer (probes.startup), or, if it listens on 127.0.0.1 alone, set transport.bind: Loopback (without a guard: have it listen on all interfaces)`
    : undefined;

const privilegedPort: Hint = ({ log }, { port }) =>
  port < 1024 && /EACCES|permission denied/i.test(log) ? `port ${port} needs privileges that it has not: use a port from 1024` : undefined;

const permission: Hint = ({ log }) =>
  /EACCES|EPERM|permission denied|operation not permitted/i.test(log)
    ? 'it may not do that as user 65532 without capabilities: see podSecurityContext and securityContext'
    : undefined;

const endedByItself: Hint = ({ exitCode }) =>
  exitCode === 0
    ? 'it ended without an error: a server over HTTP keeps running. Does it speak over standard input and output (transport.type: Stdio), or does it need an argument?'
    : undefined;

// The kubelet's own verdict first, then what the log says plainly, then what only the exit code suggests.
const hints: readonly Hint[] = [
  outOfMemory,
  readOnlyFileSystem,
  missingVariable,
  otherPort,
  neverListened,
  privilegedPort,
  permission,
  endedByItself,
];
