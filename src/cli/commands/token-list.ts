import type { GrantRule } from '../../core/grants.ts'
import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { type Column, layOut } from '../layout.ts'
import { when } from '../text.ts'
import { openTokens } from '../tokens.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const tokens = await openTokens(context)
  const items = await tokens.list()
  const now = io.now()
  out.result({ items }, () =>
    layOut(
      {
        columns,
        rows: items.map((token) => [
          token.id,
          token.name,
          token.role,
          token.role === 'operator' ? 'everything' : token.grants.map(ruleText).join('; '),
          when(token.createdAt, now),
          when(token.lastUsedAt, now),
          when(token.expiresAt, now),
        ]),
      },
      out.columns,
    ),
  )
  return exitCodes.done
}

const columns: readonly Column[] = [
  { title: 'ID' },
  { title: 'NAME', least: 12 },
  { title: 'ROLE', leaves: 2 },
  { title: 'MAY', least: 12, leaves: 3 },
  { title: 'CREATED', leaves: 1 },
  { title: 'LAST USED' },
  { title: 'EXPIRES', leaves: 4 },
]

/** `read openai,team-*` */
function ruleText({ may, credentials }: GrantRule): string {
  return `${may.join('+')} ${credentials.join(',')}`
}
