import { X509Certificate, createPrivateKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthority, createSigningKeys } from './pki.ts';

test('a certificate carries user, groups and names, is signed by its authority and fits its key', async () => {
  const authority = await createAuthority('test');
  const pair = await authority.issue({
    commonName: 'system:node:hub',
    organizations: ['system:nodes', 'others'],
    dnsNames: ['kubernetes.default'],
    ipAddresses: ['198.18.0.10'],
  });
  const certificate = new X509Certificate(pair.certificate);
  expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
  expect(certificate.subject.split('\n')).toEqual(['O=system:nodes', 'O=others', 'CN=system:node:hub']);
  expect(certificate.subjectAltName).toBe('DNS:kubernetes.default, IP Address:198.18.0.10');
  expect(certificate.checkPrivateKey(createPrivateKey(pair.key))).toBe(true);
  expect(certificate.ca).toBe(false);
});

test('signing keys are a pair in PEM', async () => {
  const keys = await createSigningKeys();
  expect(keys.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
  expect(createPrivateKey(keys.privateKey).asymmetricKeyType).toBe('ec');
});
