import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Log, System } from '../core/ports.ts'
import type { TokenShelf } from '../server/token-shelf.ts'
import { openTokenStore, type TokenStore } from '../server/tokens.ts'
import type { Home } from './home.ts'

/**
 * The tokens of this home. The first start leaves an operator's token (and in sandbox mode an app's) in files that only
 * this user can read, so that the next command just works; further ones are made with `keyturn token create`.
 */
export async function openTokens(
  home: Home,
  context: {
    readonly system: System
    readonly log: Log
    readonly withApp: boolean
    /** Where several replicas share them: the first of all leaves a token, the others find that there is one. */
    readonly shelf: TokenShelf | undefined
  },
): Promise<TokenStore> {
  const { system, log, shelf } = context
  const tokens = await openTokenStore({ path: shelf ?? home.file('tokens.json'), system, log })
  await ensureToken(tokens, home, 'operator')
  if (context.withApp) await ensureToken(tokens, home, 'app')
  return tokens
}

async function ensureToken(tokens: TokenStore, home: Home, role: 'operator' | 'app'): Promise<void> {
  const path = home.file(`${role}.token`)
  const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  if (known !== '' && tokens.authenticate(`Bearer ${known}`) !== undefined) return
  // An operator who took the file away and has tokens of his own does not want it back.
  if (known === '' && role === 'operator' && tokens.list().some((one) => one.role === role)) return
  const made = await tokens.create({
    name: `${role}-of-this-home`,
    role,
    ...(role === 'app' ? { credentials: ['*'] } : {}),
  })
  // Always a new file: an old one would keep its permissions, and a link would be followed.
  rmSync(path, { force: true })
  writeFileSync(path, `${made.token}\n`, { flag: 'wx', mode: 0o600 })
}
