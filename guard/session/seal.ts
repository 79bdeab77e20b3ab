import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a seal is for. A seal made for one purpose is worth nothing for another. */
export type Purpose = 'session' | 'task' | 'requestState' | 'eventId' | 'peer' | 'hop' | 'digest';

/** Bytes of the authentication code: 128 bits, as much as a random session id has. */
const CODE_BYTES = 16;

/**
 * Seals text that callers carry for us, so that no store is needed: what comes back unaltered was given out by a guard of this server.
 *
 * Guarantees: values sealed with the current or the previous key open; comparing takes the same time wherever they differ. The text
 * is authenticated, not hidden: it is only what the same caller was told by the server anyway.
 */
export class Sealer {
  readonly #keys: () => readonly Buffer[];

  /** `keys`: the current key first, at least one. */
  constructor(keys: () => readonly Buffer[]) {
    this.#keys = keys;
  }

  seal(purpose: Purpose, fields: readonly string[]): string {
    const payload = Buffer.from(JSON.stringify(fields)).toString('base64url');
    return `${payload}.${this.code(purpose, payload).toString('base64url')}`;
  }

  /** The sealed fields; `undefined` for anything that no guard of this server made. */
  open(purpose: Purpose, sealed: string): readonly string[] | undefined {
    const dot = sealed.lastIndexOf('.');
    if (dot <= 0 || sealed.length > 16_384) return undefined;
    const payload = sealed.slice(0, dot);
    const presented = Buffer.from(sealed.slice(dot + 1), 'base64url');
    if (!this.matches(purpose, payload, presented)) return undefined;
    const fields = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as unknown;
    return Array.isArray(fields) ? fields.map(String) : undefined;
  }

  /** Whether one of the keys made this code for the text. */
  matches(purpose: Purpose, text: string, presented: Buffer): boolean {
    if (presented.length !== CODE_BYTES) return false;
    let match = false;
    for (const key of this.#keys()) match = timingSafeEqual(code(key, purpose, text), presented) || match;
    return match;
  }

  /** The authentication code of a text under the current key. */
  code(purpose: Purpose, text: string): Buffer {
    return code(this.#keys()[0] ?? Buffer.alloc(32), purpose, text);
  }

  /** A digest that only holders of the key can compute, so that short values cannot be guessed from it. */
  digest(text: string): string {
    return `hmac:${this.code('digest', text).toString('hex')}`;
  }
}

/** HMAC-SHA-256 (RFC 2104) out of two one-shot hashes: a tenth of the time that an `Hmac` object takes for short texts. */
function code(key: Buffer, purpose: Purpose, text: string): Buffer {
  const { inner, outer } = pads(key);
  const digest = hash('sha256', block(inner, `${purpose}\0${text}`), 'buffer');
  return hash('sha256', Buffer.concat([outer, digest]), 'buffer').subarray(0, CODE_BYTES);
}

const BLOCK_BYTES = 64;
/** Every call has its arguments digested: short texts need no memory of their own for it. */
const SCRATCH = Buffer.alloc(8192);

function block(pad: Buffer, text: string): Buffer {
  // A character takes at most three bytes.
  if (BLOCK_BYTES + text.length * 3 > SCRATCH.length) return Buffer.concat([pad, Buffer.from(text)]);
  SCRATCH.set(pad);
  return SCRATCH.subarray(0, BLOCK_BYTES + SCRATCH.write(text, BLOCK_BYTES));
}

const PADS = new WeakMap<Buffer, { readonly inner: Buffer; readonly outer: Buffer }>();

function pads(key: Buffer): { readonly inner: Buffer; readonly outer: Buffer } {
  const known = PADS.get(key);
  if (known !== undefined) return known;
  const block = Buffer.alloc(BLOCK_BYTES);
  (key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key).copy(block);
  const made = { inner: block.map((byte) => byte ^ 0x36) as Buffer, outer: block.map((byte) => byte ^ 0x5c) as Buffer };
  PADS.set(key, made);
  return made;
}

/** A sealed value of the task or request-state kind, opened by the caller that it was given to. */
export function openFor(sealer: Sealer, purpose: Purpose, sealed: string, owner: string): readonly string[] | undefined {
  const fields = sealer.open(purpose, sealed);
  if (fields === undefined || fields[0] !== owner) return undefined;
  return fields.slice(1);
}

/** Who a sealed value belongs to, short and without naming anybody: the caller at this very server. */
export function ownerOf(callerKey: string, serverUid: string): string {
  return hash('sha256', `${serverUid}\0${callerKey}`, 'base64url').slice(0, 22);
}

/** Reads the sealing keys of Secret `<server>-guard`, current first. Throws when there is no current key of at least 32 bytes. */
export function readSealingKeys(directory: string): readonly Buffer[] {
  const current = readFileSync(join(directory, 'current'));
  if (current.length < 32) throw new Error(`the sealing key ${join(directory, 'current')} has fewer than 32 bytes`);
  try {
    const previous = readFileSync(join(directory, 'previous'));
    return previous.length < 32 ? [current] : [current, previous];
  } catch {
    return [current];
  }
}

/** A key for a guard that has no siblings to share one with. */
export function randomSealingKey(): Buffer {
  return randomBytes(32);
}
