/** A generated file: where it is, from the root of the repository, and everything that it holds. */
export interface Artifact {
  readonly path: string;
  readonly content: string;
}

/** Makes files from sources alone: the same sources give the same bytes, on any machine and day. */
export type Generator = () => readonly Artifact[] | Promise<readonly Artifact[]>;
