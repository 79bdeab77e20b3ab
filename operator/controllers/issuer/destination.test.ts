import { describe, expect, it } from 'vitest';
import { hostOf, refusedAddress, refusedURL } from './destination.ts';

const destinations = { clusterDomain: 'cluster.local', privateIssuers: ['idp.corp.example', '*.internal.example', '10.1.2.3'] };
const address = (host: string, at: string): string => refusedAddress(host, at, destinations) ?? 'passes';
const url = (text: string): string => refusedURL(new URL(text), destinations) ?? 'passes';

describe('an address that keys are fetched from', () => {
  it.each([
    ['idp.example.com', '203.0.113.7', /passes/],
    ['idp.example.com', '2606:4700::1', /passes/],
    ['idp.example.com', '127.0.0.1', /loopback/],
    ['idp.example.com', '169.254.169.254', /link-local/],
    ['idp.example.com', '::1', /loopback/],
    ['idp.example.com', '::ffff:127.0.0.1', /loopback/],
    ['idp.example.com', '::ffff:169.254.169.254', /loopback/],
    ['idp.example.com', 'fd00:ec2::254', /loopback/],
    ['idp.example.com', 'fe80::1', /link-local/],
    ['idp.example.com', '0.0.0.0', /reserved/],
    ['idp.example.com', '168.63.129.16', /reserved/],
    ['idp.example.com', '224.0.0.1', /reserved/],
    ['idp.example.com', '10.0.0.1', /private/],
    ['idp.example.com', '172.16.5.5', /private/],
    ['idp.example.com', '192.168.1.1', /private/],
    ['idp.example.com', '100.64.0.1', /private/],
    ['idp.example.com', '::ffff:10.0.0.1', /private/],
    ['idp.example.com', 'fc00::1', /private/],
    ['idp.example.com', '64:ff9b::a00:1', /private/],
    ['idp.auth.svc', '10.96.0.9', /passes/],
    ['idp.auth.svc.cluster.local', '10.96.0.9', /passes/],
    ['idp.auth.svc.other.example', '10.96.0.9', /private/],
    // What an ExternalName Service may point to.
    ['idp.auth.svc', '169.254.169.254', /link-local/],
    ['idp.auth.svc', '127.0.0.1', /loopback/],
    ['idp.corp.example', '10.0.0.1', /passes/],
    ['x.idp.corp.example', '10.0.0.1', /private/],
    ['a.b.internal.example', '127.0.0.1', /passes/],
    ['internal.example', '10.0.0.1', /private/],
    ['10.1.2.3', '10.1.2.3', /passes/],
  ])('%s at %s: %s', (host, at, expected) => expect(address(host, at)).toMatch(expected));
});

describe('a URL that keys are fetched from', () => {
  it.each([
    ['https://idp.example.com/keys', 'passes'],
    ['http://idp.auth.svc/keys', 'passes'],
    ['http://idp.auth.svc.cluster.local:8080/keys', 'passes'],
    ['http://idp.example.com/keys', 'it must be https; http is for Services of this cluster alone'],
    ['http://idp.corp.example/keys', 'it must be https; http is for Services of this cluster alone'],
    ['file:///etc/passwd', 'it must be https; http is for Services of this cluster alone'],
    ['https://user:pass@idp.example.com/', 'it has a user or password'],
  ])('%s: %s', (text, expected) => expect(url(text)).toBe(expected));

  it('means the host that is connected to', () => {
    expect(
      ['https://[::1]/', 'https://0x7f.1/', 'https://2130706433/', 'https://a.example./'].map((text) => hostOf(new URL(text))),
    ).toEqual(['::1', '127.0.0.1', '127.0.0.1', 'a.example']);
  });
});
