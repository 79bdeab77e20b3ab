export interface Program {
  /** File in dist/ and in the image, without `.mjs`. */
  readonly name: string;
  readonly entry: string;
}

/** Everything that the image can run. */
export const PROGRAMS: readonly Program[] = [
  { name: 'operator', entry: 'operator/main.ts' },
  { name: 'guard', entry: 'guard/main.ts' },
  { name: 'mcp-fleet', entry: 'cli/main.ts' },
];

/** Published name of the image; the tag is the version of package.json. */
export const IMAGE_REPOSITORY = 'ghcr.io/mcp-fleet/mcp-fleet-operator';
