import { z } from 'zod';
import { rules } from '../schema/markers.ts';
import { LabelSelector } from './selector.ts';

const CIDR = z
  .string()
  .min(1)
  .max(64)
  .meta(rules({ rule: 'isCIDR(self)', message: 'must be a CIDR such as 10.0.0.0/8 or 2001:db8::/32' }));

/** `networking/v1.NetworkPolicyPeer`. */
export const NetworkPolicyPeer = z
  .object({
    podSelector: LabelSelector.optional().describe('Pods, in the selected namespaces or else in this one.'),
    namespaceSelector: LabelSelector.optional().describe('Namespaces.'),
    ipBlock: z
      .object({
        cidr: CIDR.describe('Address range.'),
        except: z.array(CIDR).max(64).optional().describe('Ranges inside it that are left out. Default: none.'),
      })
      .optional()
      .describe('Addresses; excludes the other two.'),
  })
  .meta(
    rules({
      rule: 'has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))',
      message: 'set ipBlock, or podSelector and namespaceSelector (one or both)',
    }),
  );
