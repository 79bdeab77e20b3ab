import type { Authentication } from '../mcp/policy/bundle.ts';
import type { Caller } from '../mcp/policy/caller.ts';
import { CommandError, ExitCode } from './exit.ts';

export interface CallerOptions {
  /** What follows `--as`. Default: `anonymous`. */
  readonly as?: string;
  readonly groups?: readonly string[];
  readonly scopes?: readonly string[];
}

const GRAMMAR = 'anonymous, user:NAME, sa:NAMESPACE/NAME or jwt:ISSUER';

/** The caller that the command line speaks of. Throws `CommandError` `Usage`. */
export function callerOf({ as = 'anonymous', groups, scopes }: CallerOptions): Caller {
  if (as.startsWith('jwt:') && as.length > 'jwt:'.length) {
    // Rules do not look at the subject: whoever has these groups and scopes stands alike.
    return { type: 'jwt', issuer: as.slice('jwt:'.length), subject: '', groups: groups ?? [], scopes: scopes ?? [] };
  }
  if (groups !== undefined || scopes !== undefined) {
    throw new CommandError(ExitCode.Usage, 'groups and scopes are those of a token: give them with --as jwt:ISSUER');
  }
  if (as === 'anonymous') return { type: 'anonymous' };
  const user = /^user:(.+)$/su.exec(as)?.[1];
  if (user !== undefined) return { type: 'apiKey', user };
  const [, namespace, name] = /^sa:([^/:]+)\/([^/:]+)$/u.exec(as) ?? /^system:serviceaccount:([^/:]+):([^/:]+)$/u.exec(as) ?? [];
  if (namespace !== undefined && name !== undefined) return { type: 'serviceAccount', namespace, name };
  throw new CommandError(ExitCode.Usage, `--as: "${as}" is nobody: write ${GRAMMAR}`);
}

/** The caller in the words of `--as`. */
export function callerWords(caller: Caller): string {
  switch (caller.type) {
    case 'anonymous':
      return 'anonymous';
    case 'apiKey':
      return `user:${caller.user}`;
    case 'serviceAccount':
      return `sa:${caller.namespace}/${caller.name}`;
    case 'jwt': {
      const list = (name: string, values: readonly string[] | undefined): string =>
        values === undefined ? ` with unknown ${name}` : values.length === 0 ? '' : ` with ${name} ${values.join(', ')}`;
      return `jwt:${caller.issuer}${list('groups', caller.groups)}${list('scopes', caller.scopes)}`;
    }
  }
}

/** Whether the guard lets a caller come as far as the policies. */
export type Admittance =
  | { readonly admitted: true; readonly caller: Caller; readonly note?: string }
  | { readonly admitted: false; readonly code: 'UNAUTHENTICATED' | 'SCOPE'; readonly message: string };

/** As the guard does it, for a caller whose credential is good. */
export function admittance({ type, anonymous, serviceAccounts, jwt, apiKeys }: Authentication, caller: Caller): Admittance {
  const refused = (message: string): Admittance => ({ admitted: false, code: 'UNAUTHENTICATED', message });
  if (type !== 'Guard') {
    if (caller.type === 'anonymous') return { admitted: true, caller };
    const note = `authentication.type is ${type}: the guard checks no credentials, and every caller is anonymous to it`;
    return { admitted: true, caller: { type: 'anonymous' }, note };
  }
  switch (caller.type) {
    case 'anonymous':
      return anonymous ? { admitted: true, caller } : refused('authentication.anonymous is false: a credential is required');
    case 'apiKey':
      if (!apiKeys) return refused('authentication.apiKeys is not set: the server takes no API keys');
      return { admitted: true, caller, note: `that the Secret of authentication.apiKeys has a key ${caller.user} is taken for granted` };
    case 'serviceAccount':
      return serviceAccounts === undefined
        ? refused(
            'the server takes no tokens of ServiceAccounts: authentication.serviceAccounts is not set, or the issuer of this cluster is not known',
          )
        : { admitted: true, caller };
    case 'jwt': {
      const issuer = jwt.find((one) => one.issuer === caller.issuer);
      if (issuer === undefined) return refused(`authentication.jwt has no issuer ${caller.issuer}`);
      const missing = issuer.requiredScopes.filter((scope) => !caller.scopes.includes(scope));
      if (missing.length === 0) return { admitted: true, caller };
      return { admitted: false, code: 'SCOPE', message: `authentication.jwt requires scopes that the token lacks: ${missing.join(', ')}` };
    }
  }
}
