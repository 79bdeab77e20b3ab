/**
 * What a legacy server has asked its clients and not been answered yet. A client's posted answer is taken only when it answers such a
 * question, asked of this very session: otherwise anybody who can guess an id could answer somebody else's elicitation.
 */
export class Conversations {
  readonly #open = new Map<string, Map<string, string>>();

  /** The server asked for `method` under `id`, in the session (or, without sessions, of the caller) named by `key`. */
  asked(key: string, id: string | number, method: string): void {
    const questions = this.#open.get(key) ?? new Map<string, string>();
    // Re-inserting keeps the least recently used session first.
    this.#open.delete(key);
    this.#open.set(key, questions);
    questions.set(idKey(id), method);
    dropOldest(questions, MAXIMUM_QUESTIONS);
    dropOldest(this.#open, MAXIMUM_SESSIONS);
  }

  /** The method that an answer belongs to, once; `undefined` when nobody asked. */
  answered(key: string, id: string | number): string | undefined {
    const questions = this.#open.get(key);
    const method = questions?.get(idKey(id));
    if (questions === undefined || method === undefined) return undefined;
    questions.delete(idKey(id));
    if (questions.size === 0) this.#open.delete(key);
    return method;
  }

  ended(key: string): void {
    this.#open.delete(key);
  }
}

/** Servers ask a handful of things at once; more than these are a fault of theirs, and the oldest are forgotten. */
const MAXIMUM_QUESTIONS = 256;
const MAXIMUM_SESSIONS = 10_000;

/** `1` and `"1"` are different ids. */
function idKey(id: string | number): string {
  return JSON.stringify(id);
}

function dropOldest<Value>(map: Map<string, Value>, limit: number): void {
  for (const [key] of map) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}
