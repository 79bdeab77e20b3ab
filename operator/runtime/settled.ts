/** Resolves when all are done, and rejects with the first error only then: what one of them refuses keeps the others from nothing. */
export async function allOf(work: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
}
