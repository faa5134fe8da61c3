import type { StoredToken } from './token-shelf.ts'

export interface TokenChange {
  readonly id: string
  readonly name: string
  readonly what: 'made' | 'changed' | 'removed'
}

/** What makes the second list of the first; when a token was last used is no change. */
export function changesBetween(
  before: readonly StoredToken[],
  after: readonly StoredToken[],
): readonly TokenChange[] {
  const known = new Map(before.map((token) => [token.id, token]))
  const left = new Set(after.map(({ id }) => id))
  const changed = after.flatMap((token): readonly TokenChange[] => {
    const { id, name } = token
    const was = known.get(id)
    if (was === undefined) return [{ id, name, what: 'made' }]
    return essence(was) === essence(token) ? [] : [{ id, name, what: 'changed' }]
  })
  const removed = before.filter(({ id }) => !left.has(id))
  return [...changed, ...removed.map(({ id, name }) => ({ id, name, what: 'removed' as const }))]
}

function essence({ name, role, credentials, grants, person, sha256, expiresAt }: StoredToken): string {
  return JSON.stringify([name, role, credentials, grants, person, sha256, expiresAt])
}
