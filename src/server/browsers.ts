import type { IncomingMessage } from 'node:http'
import type { Operation } from '../api/operations.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Refusal } from './problem.ts'

/**
 * Only browsers send these, and no page can leave them out. `Sec-Fetch-Mode` is not among them: Node's own fetch sends
 * it (undici 7, 2025).
 */
const browserHeaders = ['origin', 'sec-fetch-site', 'sec-fetch-dest', 'sec-fetch-user'] as const

/**
 * A page has no business with secrets, whoever it belongs to: refused before its token is looked at. On the other routes
 * a page of another site is refused; the address itself and pages of ours are not.
 */
export function refuseBrowser(
  { headers }: Pick<IncomingMessage, 'headers'>,
  operation: Pick<Operation, 'isSecret' | 'access'>,
): Refusal | undefined {
  if (operation.isSecret === true && browserHeaders.some((name) => headers[name] !== undefined))
    return {
      error: new KeyturnError('forbidden', 'Requests from web pages get no secrets.', {
        fix: 'Ask from a server or the command line, without Origin and Sec-Fetch headers.',
      }),
    }
  const site = headers['sec-fetch-site']
  if (operation.access === 'open' || (site !== 'cross-site' && site !== 'same-site')) return undefined
  return {
    error: new KeyturnError('forbidden', 'Requests from pages of other sites are not answered.', {
      fix: 'Ask from a server or the command line.',
    }),
  }
}
