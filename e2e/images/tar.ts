/** One member of a tar archive. Owner is root and the time is the epoch, so that equal content gives equal bytes. */
export type Entry = EntryPlace & (EntryContent | EntryCopy | EntryDirectory | EntrySymlink);

interface EntryPlace {
  /** Absolute or relative, with `/`; a leading `/` is dropped. */
  readonly path: string;
  /** Permission bits; default 0755 for directories and 0644 for files. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

interface EntryContent {
  readonly kind: 'file';
  readonly content: string | Uint8Array;
}

/** A file of this machine, read when the archive is written. */
interface EntryCopy {
  readonly kind: 'copy';
  readonly source: string;
  /** Bytes; the archive is refused when the file has another length by then. */
  readonly size: number;
}

interface EntryDirectory {
  readonly kind: 'directory';
}

interface EntrySymlink {
  readonly kind: 'symlink';
  readonly target: string;
}

export const BLOCK = 512;
/** Two zero blocks end an archive (POSIX.1-1988 ustar). */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

const TYPE_FLAG = { file: '0', copy: '0', symlink: '2', directory: '5', pax: 'x' } as const;

/** Bytes needed after `size` bytes of content to reach a full block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** Header of an entry whose content has `size` bytes, preceded by a pax header when the path or link does not fit into ustar. */
export function header(entry: Entry, size: number): Buffer {
  const path = archivePath(entry);
  const target = entry.kind === 'symlink' ? entry.target : '';
  const records = [...(fits(path) ? [] : [paxRecord('path', path)]), ...(fits(target) ? [] : [paxRecord('linkpath', target)])];
  const mode = entry.mode ?? (entry.kind === 'directory' || entry.kind === 'symlink' ? 0o755 : 0o644);
  const main = ustar({ path, target, mode, size, flag: TYPE_FLAG[entry.kind], uid: entry.uid ?? 0, gid: entry.gid ?? 0 });
  if (records.length === 0) {
    return main;
  }
  const body = Buffer.from(records.join(''));
  const pax = ustar({ path: 'PaxHeader', target: '', mode: 0o644, size: body.length, flag: TYPE_FLAG.pax, uid: 0, gid: 0 });
  return Buffer.concat([pax, body, padding(body.length), main]);
}

export function archivePath(entry: Entry): string {
  const path = entry.path.replace(/^\/+/, '').replace(/\/+$/, '');
  return entry.kind === 'directory' ? `${path}/` : path;
}

interface Ustar {
  readonly path: string;
  readonly target: string;
  readonly mode: number;
  readonly size: number;
  readonly flag: string;
  readonly uid: number;
  readonly gid: number;
}

/** The name field holds 100 bytes; everything longer, or not ASCII, goes into a pax record. */
function fits(text: string): boolean {
  return Buffer.byteLength(text) <= 100 && /^[\x20-\x7e]*$/.test(text);
}

function ustar(fields: Ustar): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(fields.path, 0, 100);
  block.write(octal(fields.mode & 0o7777, 8), 100);
  block.write(octal(fields.uid, 8), 108);
  block.write(octal(fields.gid, 8), 116);
  block.write(octal(fields.size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write('        ', 148);
  block.write(fields.flag, 156);
  block.write(fields.target, 157, 100);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(value: number, width: number): string {
  const digits = value.toString(8).padStart(width - 1, '0');
  if (digits.length >= width) {
    throw new RangeError(`${value} does not fit into a tar field of ${width} bytes`);
  }
  return `${digits}\0`;
}

/** A pax record starts with its own length in bytes, that number included (POSIX.1-2001). */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) {
    length = rest + String(length).length;
  }
  return `${length} ${key}=${value}\n`;
}
