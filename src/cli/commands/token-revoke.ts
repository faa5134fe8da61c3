import { argument, type Context } from '../command.ts'
import { confirmed } from '../confirm.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { when } from '../text.ts'
import { openTokens, type Tokens } from '../tokens.ts'

/** A token that was used in this time has somebody who uses it. */
const inUseMs = 86_400_000

export async function run(context: Context): Promise<ExitCode> {
  const id = argument(context, 0)
  const tokens = await openTokens(context)
  await confirmedLoss(context, tokens, id)
  await tokens.revoke(id)
  context.out.result({ id, revoked: true }, () => [`token ${id} is revoked`])
  return exitCodes.done
}

/** Whoever uses it is refused from the next request on, and that may be this very command's token. */
async function confirmedLoss(context: Context, tokens: Tokens, id: string): Promise<void> {
  const now = context.io.now()
  const token = (await tokens.list()).find((one) => one.id === id)
  const usedAt = token?.lastUsedAt ?? null
  if (token === undefined || usedAt === null || Date.parse(usedAt) <= now - inUseMs) return
  const { name, role } = token
  context.out.note(`token ${id} is the ${role} token of ${name}, last used ${when(usedAt, now)}`)
  const what = `Revoking the token ${id}: whoever uses it is refused from the next request on`
  await confirmed(context, { name, what })
}
