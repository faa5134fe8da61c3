/** Calls back in a later turn of the event loop, after what has come meanwhile. */
export type Soon = (callback: () => void) => void

/**
 * A way for long work to take turns: each promise resolves in a turn of its own, one after another, so that whatever is short
 * comes between, however many wait.
 */
export function createTurnTaking(soon: Soon): () => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  return () => (last = last.then(() => new Promise<void>((resolve) => soon(resolve))))
}
