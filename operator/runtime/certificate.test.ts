import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, symlink, rename, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Certificate, readCertificate, selfSigned, watchCertificate } from './certificate.ts';

it('makes a certificate that vouches for itself and for its names', () => {
  const { cert, key } = selfSigned(['metrics.ns.svc', '127.0.0.1'], new Date('2026-01-01T00:00:00Z'));
  const x509 = new X509Certificate(cert);
  expect(x509.subject).toBe('CN=metrics.ns.svc');
  expect(x509.subjectAltName).toBe('DNS:metrics.ns.svc, IP Address:127.0.0.1');
  expect(x509.validFromDate).toEqual(new Date('2025-12-31T23:00:00Z'));
  expect(x509.validToDate).toEqual(new Date('2027-01-01T00:00:00Z'));
  expect(x509.verify(x509.publicKey)).toBe(true);
  expect(x509.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
});

it('makes another serial number each time', () => {
  const serials = Array.from({ length: 5 }, () => new X509Certificate(selfSigned(['x']).cert).serialNumber);
  expect(new Set(serials).size).toBe(5);
});

it('follows a mounted Secret, which is swapped by its link', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'certificate-'));
  const publish = async (name: string, { cert, key }: Certificate) => {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'tls.crt'), cert);
    await writeFile(join(directory, name, 'tls.key'), key);
    await symlink(name, join(directory, '..data_tmp'));
    await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  const [first, second] = [selfSigned(['a']), selfSigned(['b'])];
  await publish('..1', first);
  await symlink('..data/tls.crt', join(directory, 'tls.crt'));
  await symlink('..data/tls.key', join(directory, 'tls.key'));
  expect(await readCertificate(directory)).toEqual(first);

  const seen: Certificate[] = [];
  const stop = watchCertificate(
    directory,
    (certificate) => seen.push(certificate),
    () => {},
  );
  await publish('..2', second);
  await expect.poll(() => seen, { timeout: 5000 }).toEqual([second]);
  stop();
  await rm(directory, { recursive: true });
});
