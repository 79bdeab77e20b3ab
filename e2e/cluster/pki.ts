import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** PEM of a certificate and its private key (PKCS #8). */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** Becomes the user name when the certificate is a client's. */
  readonly commonName: string;
  /** Become the groups when the certificate is a client's. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export interface Authority {
  readonly certificate: string;
  issue(request: CertificateRequest): Promise<KeyPair>;
}

const KEY: webcrypto.EcKeyGenParams & webcrypto.EcdsaParams = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 24 * 60 * 60 * 1000;
const { KeyUsageFlags, ExtendedKeyUsage } = x509;

x509.cryptoProvider.set(crypto);

/** A new certificate authority that lives in memory. Its certificates serve and authenticate, and are valid for a year. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: distinguishedName({ commonName }),
    keys,
    signingAlgorithm: KEY,
    ...validity(),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  async function issue(request: CertificateRequest): Promise<KeyPair> {
    const own = await generateKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: distinguishedName(request),
      issuer: root.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: KEY,
      ...validity(),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...alternativeNames(request),
      ],
    });
    return { certificate: pemText(certificate.toString('pem')), key: await privateKeyPem(own.privateKey) };
  }
  return { certificate: pemText(root.toString('pem')), issue };
}

/** A key pair without certificate, as the API server signs ServiceAccount tokens with. */
export async function createSigningKeys(): Promise<{ publicKey: string; privateKey: string }> {
  const keys = await generateKeys();
  const spki = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { publicKey: pemText(x509.PemConverter.encode(spki, 'PUBLIC KEY')), privateKey: await privateKeyPem(keys.privateKey) };
}

/** Writes `<name>.crt` and `<name>.key`, readable by the owner only, and returns their paths. */
export async function writeKeyPair(folder: string, name: string, pair: KeyPair): Promise<{ certificate: string; key: string }> {
  await mkdir(folder, { recursive: true });
  const paths = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  await writeFile(paths.certificate, pair.certificate, { mode: 0o600 });
  await writeFile(paths.key, pair.key, { mode: 0o600 });
  return paths;
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
}

/** One attribute per relative name: Go reads each organization of a certificate as one group. */
function distinguishedName({ commonName, organizations = [] }: CertificateRequest): x509.Name {
  return new x509.Name([...organizations.map((organization) => ({ O: [organization] })), { CN: [commonName] }]);
}

function alternativeNames({ dnsNames = [], ipAddresses = [] }: CertificateRequest): x509.SubjectAlternativeNameExtension[] {
  const names: x509.JsonGeneralNames = [
    ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
    ...ipAddresses.map((value) => ({ type: 'ip', value }) as const),
  ];
  return names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)];
}

/** From a day ago, so that a clock that is set back between runs does no harm. */
function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 365 * DAY_MS) };
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return pemText(x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY'));
}

function pemText(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
