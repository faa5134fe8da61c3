/**
 * What the system or Node calls a failure, such as ENOENT; undefined for what has no such name. Decisions and sentences go by it
 * alone: messages of others quote paths, addresses and what is in them.
 */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined
}

/** The same for a sentence. */
export function errnoText(thrown: unknown): string {
  return errnoOf(thrown) ?? 'no reason given'
}
