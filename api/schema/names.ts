import { z } from 'zod';
import { rules, saying } from './markers.ts';

/** A DNS label: names of namespaces and of most things that become part of a host name. */
export const DNSLabel = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
  .meta(saying('must be a DNS label: at most 63 lower-case letters, digits and hyphens, a letter or digit first and last'));

/** A DNS subdomain: names of ConfigMaps, Secrets, ServiceAccounts and most other objects. */
export const ObjectName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
  .meta(saying('must be the name of a Kubernetes object: a-z, 0-9, hyphens and dots, a letter or digit first and last'));

/** The same, or empty where empty means "choose for me". */
export const OptionalObjectName = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/)
  .meta(saying('must be empty or the name of a Kubernetes object: lower-case letters, digits, hyphens and dots'));

/** A name of RBAC, which takes more than other objects: `system:auth-delegator`. */
export const ClusterRoleName = z
  .string()
  .max(253)
  .regex(/^[^/%]+$/)
  .meta(saying('must be the name of a ClusterRole: no slash, no percent sign'));

/** A key of a ConfigMap or Secret. */
export const DataKey = z
  .string()
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/)
  .meta(saying('must be a key of a ConfigMap or Secret: letters, digits, hyphens, underscores and dots'));

export const HostName = z
  .string()
  .max(253)
  .regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
  .meta(saying('must be a host name in lower case, without scheme, port and path; *.example.com is possible'));

/** A name of an HTTP header. */
export const HeaderName = z
  .string()
  .max(128)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/)
  .meta(saying('must be a header name: letters, digits and hyphens'));

export const URLPath = z
  .string()
  .max(1024)
  .regex(/^\/[^\s?#]*$/)
  .meta(saying('must be a path that begins with a slash, without query and fragment'));

export const Port = z.int32().min(1).max(65_535);

/** `prefix/name` as the keys of labels and annotations are written. */
const QUALIFIED = '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

const keys = (what: string) => ({
  rule: `self.all(key, key.size() <= 317 && key.matches('${QUALIFIED}'))`,
  message: `a key of ${what} must be a name of at most 63 letters, digits, hyphens, underscores and dots, with a DNS prefix and a slash if needed`,
});

export const Labels = z.record(z.string(), z.string().max(63)).meta({
  maxProperties: 64,
  ...rules(keys('labels'), {
    rule: `self.all(key, self[key].matches('${LABEL_VALUE}'))`,
    message: 'a label value must be empty or at most 63 letters, digits, hyphens, underscores and dots, a letter or digit first and last',
  }),
});

export const Annotations = z.record(z.string(), z.string().max(16_384)).meta({ maxProperties: 64, ...rules(keys('annotations')) });
