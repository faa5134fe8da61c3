import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { when } from '../text.ts'
import { openTokens } from '../tokens.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const tokens = await openTokens(context)
  const items = await tokens.list()
  const now = io.now()
  out.result({ items }, () =>
    out.table([
      ['ID', 'NAME', 'ROLE', 'CREDENTIALS', 'CREATED', 'LAST USED', 'EXPIRES'],
      ...items.map((token) => [
        token.id,
        token.name,
        token.role,
        token.role === 'operator' ? '*' : token.credentials.join(','),
        when(token.createdAt, now),
        when(token.lastUsedAt, now),
        when(token.expiresAt, now),
      ]),
    ]),
  )
  return exitCodes.done
}
