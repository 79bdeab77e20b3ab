import type * as k8s from '@kubernetes/client-node';
import { expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { Plain } from '../schema/plain.ts';
import type { HorizontalPodAutoscalerBehavior } from './autoscaling.ts';
import type { Condition } from './condition.ts';
import type { EnvFromSource, EnvVar, EnvVarSource } from './environment.ts';
import type { NetworkPolicyPeer } from './network.ts';
import type { Probe } from './probe.ts';
import type { ResourceRequirements } from './resources.ts';
import type { Affinity, Toleration, TopologySpreadConstraint } from './scheduling.ts';
import type { PodSecurityContext, SecurityContext } from './security.ts';
import type { LabelSelector } from './selector.ts';
import type {
  ConfigMapVolumeSource,
  EmptyDirVolumeSource,
  ImageVolumeSource,
  ProjectedVolumeSource,
  SecretVolumeSource,
} from './volume.ts';

/**
 * Every path of a type, with the names alone. The generated client says `Date` for times and `string` for quantities, and makes more
 * fields optional than the API server does; names and nesting must agree.
 */
type Paths<T, Depth extends readonly unknown[] = []> = Depth['length'] extends 6
  ? never
  : T extends Date | string | number | boolean | undefined
    ? never
    : T extends readonly (infer Item)[]
      ? Paths<Item, Depth>
      : string extends keyof T
        ? never
        : { [K in keyof T & string]: K | `${K}.${Paths<NonNullable<T[K]>, [...Depth, unknown]>}` }[keyof T & string];

type Ours<T extends z.ZodType> = Paths<Plain<z.output<T>>>;

/** Members that are opaque here, and one that the mount says. */
type Opaque = `sources.${'clusterTrustBundle' | 'podCertificate'}.${string}`;

test('shapes of Kubernetes have all fields of Kubernetes 1.35, and no others', () => {
  expectTypeOf<Ours<typeof EnvVar>>().toEqualTypeOf<Paths<k8s.V1EnvVar>>();
  expectTypeOf<Ours<typeof EnvVarSource>>().toEqualTypeOf<Paths<k8s.V1EnvVarSource>>();
  expectTypeOf<Ours<typeof EnvFromSource>>().toEqualTypeOf<Paths<k8s.V1EnvFromSource>>();
  expectTypeOf<Ours<typeof ResourceRequirements>>().toEqualTypeOf<Paths<k8s.V1ResourceRequirements>>();
  expectTypeOf<Ours<typeof Probe>>().toEqualTypeOf<Paths<k8s.V1Probe>>();
  expectTypeOf<Ours<typeof SecurityContext>>().toEqualTypeOf<Paths<k8s.V1SecurityContext>>();
  expectTypeOf<Ours<typeof PodSecurityContext>>().toEqualTypeOf<Paths<k8s.V1PodSecurityContext>>();
  expectTypeOf<Ours<typeof Toleration>>().toEqualTypeOf<Paths<k8s.V1Toleration>>();
  expectTypeOf<Ours<typeof TopologySpreadConstraint>>().toEqualTypeOf<Paths<k8s.V1TopologySpreadConstraint>>();
  expectTypeOf<Ours<typeof Affinity>>().toEqualTypeOf<Paths<k8s.V1Affinity>>();
  expectTypeOf<Ours<typeof LabelSelector>>().toEqualTypeOf<Paths<k8s.V1LabelSelector>>();
  expectTypeOf<Ours<typeof NetworkPolicyPeer>>().toEqualTypeOf<Paths<k8s.V1NetworkPolicyPeer>>();
  expectTypeOf<Ours<typeof HorizontalPodAutoscalerBehavior>>().toEqualTypeOf<Paths<k8s.V2HorizontalPodAutoscalerBehavior>>();
  expectTypeOf<Ours<typeof ConfigMapVolumeSource>>().toEqualTypeOf<Paths<k8s.V1ConfigMapVolumeSource>>();
  expectTypeOf<Ours<typeof SecretVolumeSource>>().toEqualTypeOf<Paths<k8s.V1SecretVolumeSource>>();
  expectTypeOf<Ours<typeof EmptyDirVolumeSource>>().toEqualTypeOf<Paths<k8s.V1EmptyDirVolumeSource>>();
  expectTypeOf<Ours<typeof ImageVolumeSource>>().toEqualTypeOf<Paths<k8s.V1ImageVolumeSource>>();
  expectTypeOf<Ours<typeof ProjectedVolumeSource>>().toEqualTypeOf<Exclude<Paths<k8s.V1ProjectedVolumeSource>, Opaque>>();
  expectTypeOf<Ours<typeof Condition>>().toEqualTypeOf<Paths<k8s.V1Condition>>();
});
