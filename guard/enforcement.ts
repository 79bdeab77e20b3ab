import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bundle, IssuerKeys } from '../mcp/policy/bundle.ts';
import { BUNDLE_FILES, isTransparent } from '../mcp/policy/bundle.ts';
import { bundleDigest, parseBundle, parseKeys, parseReplicas } from '../mcp/policy/bundlecheck.ts';
import type { Engine } from '../mcp/policy/engine.ts';
import { compile } from '../mcp/policy/engine.ts';
import type { ApiKeys } from './authentication/apikeys.ts';
import { readApiKeys } from './authentication/apikeys.ts';
import { Authenticator } from './authentication/authenticator.ts';
import type { Watching } from './watch.ts';
import { directoryOf, watchDirectory } from './watch.ts';

/** Everything that is in force at one moment. Replaced as a whole, so that no request sees a mixture. */
export interface Enforcement {
  readonly digest: string;
  /** Of the file with the issuers' keys; absent: there is none. */
  readonly keysDigest: string | undefined;
  /** The issuers' keys that the authenticator knows. */
  readonly keys: IssuerKeys;
  readonly bundle: Bundle;
  readonly engine: Engine;
  readonly authenticator: Authenticator;
  /** Who may come in, and by what: changes when a credential is taken back. */
  readonly admission: string;
  /** See `isTransparent`. */
  readonly transparent: boolean;
  readonly replicas: number;
}

/** A file that could not be used, in words for `/status`. What was in force before stays. */
export interface Rejection {
  readonly file: string;
  readonly message: string;
}

export interface EnforcementOptions {
  readonly bundle: string;
  readonly apiKeys: string | undefined;
  readonly now: () => number;
  /** Called after every reading that put something new in force, with what was before. */
  readonly changed: (now: Enforcement, before: Enforcement | undefined) => void;
  /** Called when a file was refused for a new reason. */
  readonly rejected: (rejection: Rejection) => void;
}

/**
 * Reads and watches the bundle and what lies beside it.
 *
 * Guarantees: a bundle is in force completely or not at all; a bad one changes nothing but `rejections`; with no good one yet there is
 * nothing in force, and callers are refused.
 */
export class Enforcements {
  readonly #options: EnforcementOptions;
  readonly #watching: Watching[] = [];
  #current: Enforcement | undefined;
  #rejections: readonly Rejection[] = [];
  #seen = '';
  #keys: { readonly digest: string | undefined; readonly value: IssuerKeys } = { digest: undefined, value: { issuers: {} } };
  /** By issuer: tokens that were signed with a key which is not among those that are known now. Only issuers of the bundle. */
  readonly #unknownKeys = new Map<string, number>();
  #apiKeys: ApiKeys | undefined;
  #replicas = 1;

  constructor(options: EnforcementOptions) {
    this.#options = options;
  }

  get current(): Enforcement | undefined {
    return this.#current;
  }

  get rejections(): readonly Rejection[] {
    return this.#rejections;
  }

  get unknownKeys(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#unknownKeys);
  }

  start(): void {
    this.read();
    const directories = new Set([
      directoryOf(this.#options.bundle),
      ...(this.#options.apiKeys === undefined ? [] : [this.#options.apiKeys]),
    ]);
    for (const directory of directories) this.#watching.push(watchDirectory(directory, () => this.read()));
  }

  stop(): void {
    for (const watching of this.#watching) watching.close();
  }

  /** Reads all files now. */
  read(): void {
    const rejections: Rejection[] = [];
    const attempt = <Value>(file: string, use: () => Value, otherwise: Value): Value => {
      try {
        return use();
      } catch (error) {
        rejections.push({ file, message: error instanceof Error ? error.message : String(error) });
        return otherwise;
      }
    };
    const directory = directoryOf(this.#options.bundle);
    const beside = (name: string): string | undefined => readIfThere(join(directory, name));
    const keysText = beside(BUNDLE_FILES.keys);
    const replicasText = beside(BUNDLE_FILES.replicas);
    if (keysText !== undefined) {
      const before = this.#keys.digest;
      this.#keys = attempt(BUNDLE_FILES.keys, () => ({ digest: bundleDigest(keysText), value: parseKeys(keysText) }), this.#keys);
      // What was missed before says nothing of these keys.
      if (this.#keys.digest !== before) this.#unknownKeys.clear();
    }
    if (replicasText !== undefined) this.#replicas = attempt(BUNDLE_FILES.replicas, () => parseReplicas(replicasText), this.#replicas);
    const { apiKeys } = this.#options;
    if (apiKeys !== undefined) this.#apiKeys = attempt('api-keys', () => readApiKeys(apiKeys), this.#apiKeys);
    const text = attempt('bundle', () => readFileSync(this.#options.bundle, 'utf8'), undefined);
    if (text !== undefined) {
      // API keys are compared by content, which must not be kept as text: they are simply taken anew each time.
      const seen = JSON.stringify([text, keysText, replicasText]);
      if (seen !== this.#seen || apiKeys !== undefined) {
        const next = attempt('bundle', () => this.#compile(text), undefined);
        if (next !== undefined) this.#replace(next, seen);
      }
    }
    this.#report(rejections);
  }

  #replace(next: Enforcement, seen: string): void {
    const before = this.#current;
    this.#current = next;
    this.#seen = seen;
    this.#options.changed(next, before);
  }

  #compile(text: string): Enforcement {
    const bundle = parseBundle(text);
    return {
      digest: bundleDigest(text),
      keysDigest: this.#keys.digest,
      keys: this.#keys.value,
      bundle,
      engine: compile(bundle, { now: this.#options.now }),
      admission: JSON.stringify([bundle.authentication, bundle.authentication.apiKeys ? this.#apiKeys?.fingerprint : undefined]),
      authenticator: new Authenticator({
        authentication: bundle.authentication,
        keys: this.#keys.value,
        apiKeys: this.#apiKeys,
        now: this.#options.now,
        unknownKey: (issuer) => this.#unknownKeys.set(issuer, (this.#unknownKeys.get(issuer) ?? 0) + 1),
      }),
      transparent: isTransparent(bundle.policy),
      replicas: this.#replicas,
    };
  }

  #report(rejections: readonly Rejection[]): void {
    const known = new Set(this.#rejections.map((rejection) => JSON.stringify(rejection)));
    this.#rejections = rejections;
    for (const rejection of rejections) if (!known.has(JSON.stringify(rejection))) this.#options.rejected(rejection);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
