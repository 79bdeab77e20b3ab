import { describe, expect, it } from 'vitest';
import type { Service } from '../../kube/wire.ts';
import { type Destinations, hostOf, refusedAddress, refusedURL } from './destination.ts';

const services: Readonly<Record<string, Service['spec']>> = {
  'auth/idp': { type: 'ClusterIP', clusterIPs: ['10.96.0.9', 'fd00::9'], selector: { app: 'idp' } },
  'auth/elsewhere': { type: 'ExternalName', externalName: 'vault.corp.example' },
  'auth/headless': { type: 'ClusterIP', clusterIPs: ['None'], selector: { app: 'idp' } },
  'auth/by-hand': { type: 'ClusterIP', clusterIPs: ['10.96.0.10'] },
};
const destinations: Destinations = {
  clusterDomain: 'cluster.local',
  privateIssuers: ['idp.corp.example', '*.internal.example', '10.1.2.3', 'allowed.auth.svc'],
  service: (key) => services[key] && { apiVersion: 'v1', kind: 'Service', metadata: { name: key }, spec: services[key] },
  namespaces: [],
};
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
    ['idp.auth.svc', 'fd00::9', /passes/],
    ['idp.auth.svc.other.example', '10.96.0.9', /private/],
    ['10-0-0-1.idp.auth.svc', '10.0.0.1', /private/],
    ['auth.svc', '10.96.0.9', /private/],
    ['idp.auth.svc', '10.0.0.1', /another address than its name stands for/],
    ['idp.auth.svc', '203.0.113.7', /another address than its name stands for/],
    ['nobody.auth.svc', '10.0.0.1', /^Service nobody of namespace auth does not exist$/],
    ['elsewhere.auth.svc', '10.0.0.1', /^Service elsewhere of namespace auth is of type ExternalName/],
    ['elsewhere.auth.svc.cluster.local', '203.0.113.7', /ExternalName/],
    ['headless.auth.svc', '10.0.0.1', /has no cluster IP/],
    ['by-hand.auth.svc', '10.96.0.10', /has no selector/],
    ['allowed.auth.svc', '10.0.0.1', /passes/],
    ['idp.auth.svc', '169.254.169.254', /link-local/],
    ['idp.auth.svc', '127.0.0.1', /loopback/],
    ['idp.corp.example', '10.0.0.1', /passes/],
    ['x.idp.corp.example', '10.0.0.1', /private/],
    ['a.b.internal.example', '127.0.0.1', /passes/],
    ['internal.example', '10.0.0.1', /private/],
    ['10.1.2.3', '10.1.2.3', /passes/],
  ])('%s at %s: %s', (host, at, expected) => expect(address(host, at)).toMatch(expected));
});

it('of a Service that cannot be seen is not taken on trust', () => {
  const some = { ...destinations, namespaces: ['agents'] };
  expect(refusedAddress('idp.auth.svc', '10.96.0.9', some)).toMatch(/cannot be seen by this operator \(--namespaces\).*--private-issuers/);
  expect(refusedAddress('idp.auth.svc', '10.96.0.9', { ...some, namespaces: ['agents', 'auth'] })).toBeUndefined();
});

describe('a URL that keys are fetched from', () => {
  it.each([
    ['https://idp.example.com/keys', 'passes'],
    ['http://idp.auth.svc/keys', 'passes'],
    ['http://idp.auth.svc.cluster.local:8080/keys', 'passes'],
    ['http://idp.example.com/keys', 'it must be https; http is for Services of this cluster alone'],
    ['http://idp.corp.example/keys', 'it must be https; http is for Services of this cluster alone'],
    ['http://pod.idp.auth.svc/keys', 'it must be https; http is for Services of this cluster alone'],
    ['http://idp/keys', 'it must be https; http is for Services of this cluster alone'],
    ['http://idp.auth/keys', 'it must be https; http is for Services of this cluster alone'],
    ['file:///etc/passwd', 'it must be https; http is for Services of this cluster alone'],
    ['https://user:pass@idp.example.com/', 'it has a user or password'],
  ])('%s: %s', (text, expected) => expect(url(text)).toBe(expected));

  it('means the host that is connected to', () => {
    expect(
      ['https://[::1]/', 'https://0x7f.1/', 'https://2130706433/', 'https://a.example./'].map((text) => hostOf(new URL(text))),
    ).toEqual(['::1', '127.0.0.1', '127.0.0.1', 'a.example']);
  });
});
