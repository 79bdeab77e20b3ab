import type { Key } from '../../kube/object.ts';
import type { CompiledBundle } from '../../../compiler/bundle.ts';

/** What was last brought about for a server, as far as policies are concerned. */
export interface Standing {
  readonly guarded: boolean;
  /** `undefined`: the spec of the server is refused, and nothing new is brought about. */
  readonly compiled: CompiledBundle | undefined;
}

/** What the controller of servers tells the controller of policies. In memory alone: a new process works it out again. */
export class Standings {
  readonly #known = new Map<Key, Standing>();
  readonly #onChange: (key: Key) => void;

  constructor(onChange: (key: Key) => void) {
    this.#onChange = onChange;
  }

  get(key: Key): Standing | undefined {
    return this.#known.get(key);
  }

  set(key: Key, standing: Standing): void {
    const before = this.#known.get(key);
    this.#known.set(key, standing);
    if (before === undefined || fingerprint(before) !== fingerprint(standing)) this.#onChange(key);
  }

  delete(key: Key): void {
    if (this.#known.delete(key)) this.#onChange(key);
  }
}

const fingerprint = ({ guarded, compiled }: Standing): string =>
  JSON.stringify([guarded, compiled?.digest, [...(compiled?.warnings ?? [])]]);
