import { existsSync } from 'node:fs'
import { KeyturnError } from '../core/errors.ts'
import type { Home } from './home.ts'

/** Only a sandbox writes it, before anything else of its own. */
export const sandboxMark = 'sandbox.url'
/** Each of them is there once keys have been kept or looked after. */
const lived = ['installation', 'ledger.db', 'secrets']

/**
 * A sandbox that took up a real installation would turn its keys into ones that work nowhere, in the store itself; and a real one
 * would probe and hand out what a sandbox has left. Error: `config_invalid`.
 */
export function assertHomeOf(kind: 'sandbox' | 'real', home: Pick<Home, 'path' | 'file'>): void {
  const isSandbox = existsSync(home.file(sandboxMark))
  if (kind === 'real' && isSandbox)
    throw new KeyturnError('config_invalid', `The home folder ${home.path} is a sandbox's.`, {
      fix: `Delete it where the sandbox is done with (rm -r '${home.path}'), or choose another folder with KEYTURN_HOME.`,
    })
  if (kind === 'sandbox' && !isSandbox && lived.some((name) => existsSync(home.file(name))))
    throw new KeyturnError(
      'config_invalid',
      `The home folder ${home.path} is of an installation that is no sandbox: its keys would become the sandbox's.`,
      { fix: `Choose another folder for the sandbox, as in KEYTURN_HOME='${home.path}-sandbox'.` },
    )
}
