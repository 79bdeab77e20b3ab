import { z } from 'zod';
import { saying } from './markers.ts';

/**
 * `https`, or `http` to a Service (`name.namespace.svc`, with or without the cluster domain): plain text must not leave the cluster.
 * User information is refused, since a URL is shown in status, logs and metrics.
 */
const SAFE =
  '(https://[^\\s/?#@]+|http://[a-z0-9]([-a-z0-9]*[a-z0-9])?\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?\\.svc(\\.[-a-z0-9]+)*(:[0-9]{1,5})?)([/?][^\\s#]*)?';
const FORM =
  'an https URL, or http to a cluster-local name (name.namespace.svc); without user, password and fragment: credentials go into headers';

export const SafeURL = z
  .string()
  .max(2048)
  .regex(new RegExp(`^${SAFE}$`))
  .meta(saying(`must be ${FORM}`));

/** The same, or empty where empty means "not used". */
export const OptionalSafeURL = z
  .string()
  .max(2048)
  .regex(new RegExp(`^(${SAFE})?$`))
  .meta(saying(`must be empty or ${FORM}`));
