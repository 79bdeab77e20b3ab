/** Exit codes of the command; documented in docs/cli.md and part of its interface. */
export const ExitCode = {
  Done: 0,
  /** Something that should not happen: a bug, or an answer that nobody foresaw. */
  Failed: 1,
  /** The command line makes no sense. */
  Usage: 2,
  /** The server, or what belongs to it, does not exist. */
  NotFound: 3,
  /** The server exists and cannot do that now. */
  NotReady: 4,
  /** The tool ran and says that it failed. */
  ToolFailed: 5,
  /** Somebody said no: the cluster's RBAC, the server's authentication, a policy, the server itself. */
  Refused: 6,
  /** The cluster or the server cannot be reached, or what answers is not MCP. */
  Unreachable: 7,
  /** `explain`: the request is refused. */
  Denied: 8,
  /** `explain`: it depends on arguments that were not given. */
  Depends: 9,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the command with a message for people and a code for scripts. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
