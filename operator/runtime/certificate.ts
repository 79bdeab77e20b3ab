import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for `names` (DNS or IP) that vouches for itself, for a year: scrapers inside a cluster skip verification or pin it. */
export function selfSigned(names: readonly string[], now: Date = new Date()): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const name = sequence(set(sequence(oid(2, 5, 4, 3), der(0x0c, Buffer.from(names[0] ?? 'localhost')))));
  const algorithm = sequence(oid(1, 2, 840, 10045, 4, 3, 2)); // ecdsa-with-SHA256
  const year = 365 * 86_400_000;
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    name,
    sequence(time(new Date(now.getTime() - 3_600_000)), time(new Date(now.getTime() + year))),
    name,
    publicKey,
    der(0xa3, sequence(subjectAltName(names), extension(oid(2, 5, 29, 37), sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1))))),
  );
  const signature = sign('sha256', body, createPrivateKey(privateKey));
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const base64 = (certificate.toString('base64').match(/.{1,64}/g) ?? []).join('\n');
  return { cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`, key: privateKey };
}

/** `tls.crt` and `tls.key` of a directory, as a Secret is mounted. */
export async function readCertificate(directory: string): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(join(directory, 'tls.crt'), 'utf8'), readFile(join(directory, 'tls.key'), 'utf8')]);
  return { cert, key };
}

/** Calls back with each certificate that replaces the one in `directory`. Returns what ends it. */
export function watchCertificate(
  directory: string,
  onChange: (certificate: Certificate) => void,
  onError: (error: unknown) => void,
): () => void {
  let last = '';
  let timer: NodeJS.Timeout | undefined;
  const reload = async (): Promise<void> => {
    try {
      const certificate = await readCertificate(directory);
      if (certificate.cert === last) return;
      last = certificate.cert;
      onChange(certificate);
    } catch (error) {
      onError(error);
    }
  };
  // Two files change one after the other; a moment later both are there.
  const watcher = watch(directory, () => {
    clearTimeout(timer);
    timer = setTimeout(() => void reload(), 100);
  });
  watcher.on('error', onError);
  watcher.unref();
  void readCertificate(directory).then(
    ({ cert }) => {
      last = cert;
    },
    () => {},
  );
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}

// Distinguished Encoding Rules (X.690), as much as a certificate needs.

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const set = (...parts: readonly Buffer[]): Buffer => der(0x31, ...parts);
const integer = (bytes: Buffer): Buffer => der(0x02, bytes);
const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`)); // GeneralizedTime

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

const extension = (id: Buffer, value: Buffer): Buffer => sequence(id, der(0x04, value));

const subjectAltName = (names: readonly string[]): Buffer =>
  extension(
    oid(2, 5, 29, 17),
    sequence(
      ...names.map((name) => (isIP(name) === 4 ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)))),
    ),
  );
