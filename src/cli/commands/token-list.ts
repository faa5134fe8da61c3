import type { GrantRule } from '../../core/grants.ts'
import type { Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { fittingTable, when } from '../text.ts'
import { openTokens } from '../tokens.ts'

export async function run(context: Context): Promise<ExitCode> {
  const { out, io } = context
  const tokens = await openTokens(context)
  const items = await tokens.list()
  const now = io.now()
  out.result({ items }, () =>
    fittingTable(
      [
        ['ID', 'NAME', 'ROLE', 'MAY', 'CREATED', 'LAST USED', 'EXPIRES'],
        ...items.map((token) => [
          token.id,
          token.name,
          token.role,
          token.role === 'operator' ? 'everything' : token.grants.map(ruleText).join('; '),
          when(token.createdAt, now),
          when(token.lastUsedAt, now),
          when(token.expiresAt, now),
        ]),
      ],
      { columns: out.columns, droppable: ['CREATED', 'ROLE'] },
    ),
  )
  return exitCodes.done
}

/** `read openai,team-*` */
function ruleText({ may, credentials }: GrantRule): string {
  return `${may.join('+')} ${credentials.join(',')}`
}
