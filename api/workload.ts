import { z } from 'zod';
import { ConfigMapKeySelector } from './kubernetes/environment.ts';
import { HTTPHeaders } from './header.ts';
import { rules, saying } from './schema/markers.ts';
import { DNSLabel, ObjectName, Port } from './schema/names.ts';
import type { Plain } from './schema/plain.ts';
import { SafeURL } from './schema/url.ts';

/** `[host[:port]/]path` as the distribution specification has it, then a tag, a digest, or both. */
const IMAGE_REFERENCE =
  /^(([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]+)?\/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127}(@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?|@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})$/;

export const ImageReference = z
  .string()
  .max(1024)
  .regex(IMAGE_REFERENCE)
  .meta(
    saying(
      'must be an image reference with a tag or digest, such as ghcr.io/org/server:v1.2.3 or ghcr.io/org/server@sha256:…: what runs must not depend on the day',
    ),
  );

export const PullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);

const Arguments = z.array(z.string().max(8192)).max(256);

export const ContainerWorkload = z.object({
  image: ImageReference.describe('Image of the server, with a tag or digest.'),
  imagePullPolicy: PullPolicy.optional().describe('When the image is pulled. Default: Always for the tag latest, otherwise IfNotPresent.'),
  command: Arguments.optional().describe(
    "Command that replaces the image's entrypoint, without a shell. Required for Stdio, since the API does not tell an image's entrypoint. Default: the image's.",
  ),
  args: Arguments.optional().describe("Arguments of the command. Default: the image's, unless command is given."),
});
export type ContainerWorkload = Plain<z.output<typeof ContainerWorkload>>;

/** A version as semver.org has it: nothing that a registry could move. */
const NPM_VERSION =
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const NPM_NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

/** A version as PEP 440 has it, in its normal form. */
const PYPI_VERSION = /^([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?$/;
const PYPI_NAME =
  /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?(\[[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?(,[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)*\])?$/;

const NPMPackage = z.object({
  name: z
    .string()
    .max(214)
    .regex(NPM_NAME)
    .meta(saying('must be the name of an npm package, such as @org/server'))
    .describe('Name of the package.'),
  version: z
    .string()
    .max(128)
    .regex(NPM_VERSION)
    .meta(
      saying(
        'must be one exact version such as 1.2.3; ranges and tags like ^1.2.3 or latest are refused: what runs must not depend on the day',
      ),
    )
    .describe('Exact version.'),
});

const PyPIPackage = z.object({
  name: z
    .string()
    .max(214)
    .regex(PYPI_NAME)
    .meta(saying('must be the name of a PyPI package, with extras if needed, such as mcp-server-git or mcp[cli]'))
    .describe('Name of the package; extras in brackets.'),
  version: z
    .string()
    .max(128)
    .regex(PYPI_VERSION)
    .meta(
      saying(
        'must be one exact version such as 1.2.3 or 2.0rc1, without operators; ranges like >=1.2 are refused: what runs must not depend on the day',
      ),
    )
    .describe('Exact version.'),
  entrypoint: z
    .string()
    .max(214)
    .regex(/^[A-Za-z0-9_][-A-Za-z0-9._]*$/)
    .meta(saying('must be the name of a console script of the package'))
    .optional()
    .describe('Console script to start. Default: the one with the name of the package.'),
});

export const PackageWorkload = z
  .object({
    npm: NPMPackage.optional().describe('A package of an npm registry.'),
    pypi: PyPIPackage.optional().describe('A package of a Python index.'),
    image: ImageReference.optional().describe(
      "Runner image that has Node with npm, or Python with uv. Default: from the operator's settings.",
    ),
    imagePullPolicy: PullPolicy.optional().describe(
      'When the runner image is pulled. Default: Always for the tag latest, otherwise IfNotPresent.',
    ),
    args: Arguments.optional().describe('Arguments of the program. Default: none.'),
  })
  .meta(
    rules({
      rule: 'has(self.npm) != has(self.pypi)',
      message: 'set exactly one of npm and pypi: a package comes from one registry',
    }),
  );
export type PackageWorkload = Plain<z.output<typeof PackageWorkload>>;

export const RemoteWorkload = z.object({
  url: SafeURL.describe('Where the server answers MCP: https, or http to a cluster-local name.'),
  headers: HTTPHeaders.optional().describe(
    'Headers that the guard adds to each request; Secrets are mounted in the guard alone. Default: none.',
  ),
  caBundle: z
    .object({ configMapKeyRef: ConfigMapKeySelector.describe('Key of a ConfigMap that holds PEM certificates.') })
    .optional()
    .describe("Authorities that the server's certificate may come from. Default: those of the system."),
});
export type RemoteWorkload = Plain<z.output<typeof RemoteWorkload>>;

export const ServiceWorkload = z.object({
  name: ObjectName.describe('Name of a Service of this namespace that somebody else runs.'),
  port: Port.describe('Port of the Service.'),
});
export type ServiceWorkload = Plain<z.output<typeof ServiceWorkload>>;

export const TunnelWorkload = z.object({
  peer: ObjectName.describe('MCPTunnel of the satellite cluster.'),
  namespace: DNSLabel.describe('Namespace of the server in that cluster.'),
  name: ObjectName.describe('Name of the server in that cluster.'),
});
export type TunnelWorkload = Plain<z.output<typeof TunnelWorkload>>;
