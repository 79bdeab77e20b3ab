import { z } from 'zod';
import { listMap, rules } from '../schema/markers.ts';

const ID = z.int().min(0).max(2_147_483_647);

const LocalhostProfile = {
  localhostProfile: z.string().max(1024).optional().describe('Profile on the node, for type Localhost. Default: none.'),
};

const localhost = rules({
  rule: "(self.type == 'Localhost') == has(self.localhostProfile)",
  message: 'localhostProfile belongs to type Localhost and is required there',
});

const SeccompProfile = z
  .object({ type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']).describe('Which profile.'), ...LocalhostProfile })
  .meta(localhost);
const AppArmorProfile = z
  .object({ type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']).describe('Which profile.'), ...LocalhostProfile })
  .meta(localhost);

const SELinuxOptions = z.object({
  level: z.string().max(253).optional().describe('Default: as the runtime labels containers.'),
  role: z.string().max(253).optional().describe('Default: as the runtime labels containers.'),
  type: z.string().max(253).optional().describe('Default: as the runtime labels containers.'),
  user: z.string().max(253).optional().describe('Default: as the runtime labels containers.'),
});

const WindowsSecurityContextOptions = z.object({
  gmsaCredentialSpec: z.string().max(65_536).optional().describe('GMSA credential spec, inline. Default: none.'),
  gmsaCredentialSpecName: z.string().max(253).optional().describe('Name of a GMSA credential spec. Default: none.'),
  hostProcess: z.boolean().optional().describe('Whether to run as a host process. Default: false.'),
  runAsUserName: z.string().max(512).optional().describe('Windows user. Default: that of the image.'),
});

const Capabilities = z.object({
  add: z.array(z.string().min(1).max(63)).max(64).optional().describe('Capabilities to add. Default: none.'),
  drop: z.array(z.string().min(1).max(63)).max(64).optional().describe('Capabilities to drop. Default: ALL.'),
});

/** `core/v1.SecurityContext`, with the operator's defaults. */
export const SecurityContext = z.object({
  allowPrivilegeEscalation: z.boolean().optional().describe('Default: false.'),
  appArmorProfile: AppArmorProfile.optional().describe("Default: the pod's."),
  capabilities: Capabilities.optional().describe('Default: all dropped.'),
  privileged: z.boolean().optional().describe('Default: false.'),
  procMount: z.enum(['Default', 'Unmasked']).optional().describe('Default: Default.'),
  readOnlyRootFilesystem: z.boolean().optional().describe('Default: true, with a writable /tmp.'),
  runAsGroup: ID.optional().describe("Default: the pod's."),
  runAsNonRoot: z.boolean().optional().describe("Default: the pod's."),
  runAsUser: ID.optional().describe("Default: the pod's."),
  seLinuxOptions: SELinuxOptions.optional().describe("Default: the pod's."),
  seccompProfile: SeccompProfile.optional().describe("Default: the pod's."),
  windowsOptions: WindowsSecurityContextOptions.optional().describe('For Windows nodes. Default: none.'),
});

/** `core/v1.PodSecurityContext`, with the operator's defaults. */
export const PodSecurityContext = z.object({
  appArmorProfile: AppArmorProfile.optional().describe("Default: the container runtime's."),
  fsGroup: ID.optional().describe('Group that owns the volumes. Default: 65532.'),
  fsGroupChangePolicy: z.enum(['OnRootMismatch', 'Always']).optional().describe('Default: Always.'),
  runAsGroup: ID.optional().describe('Default: 65532.'),
  runAsNonRoot: z.boolean().optional().describe('Default: true.'),
  runAsUser: ID.optional().describe('Default: 65532.'),
  seLinuxChangePolicy: z.enum(['Recursive', 'MountOption']).optional().describe('Default: MountOption.'),
  seLinuxOptions: SELinuxOptions.optional().describe("Default: the container runtime's."),
  seccompProfile: SeccompProfile.optional().describe('Default: RuntimeDefault.'),
  supplementalGroups: z.array(ID).max(64).optional().describe('Further groups. Default: none.'),
  supplementalGroupsPolicy: z.enum(['Merge', 'Strict']).optional().describe('Default: Merge.'),
  sysctls: z
    .array(z.object({ name: z.string().min(1).max(253).describe('Name.'), value: z.string().max(1024).describe('Value.') }))
    .max(64)
    .meta(listMap('name'))
    .optional()
    .describe('Kernel parameters of the pod. Default: none.'),
  windowsOptions: WindowsSecurityContextOptions.optional().describe('For Windows nodes. Default: none.'),
});
