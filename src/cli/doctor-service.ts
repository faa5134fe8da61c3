import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { createApi } from './api.ts'
import { nameOf } from './http.ts'
import type { Io, ServiceSighting } from './io.ts'
import { findTarget, findToken, nonEmpty, type Target, type Token } from './target.ts'

/**
 * What a running service says of its credentials. One that KEYTURN_URL names has to answer; one that is only where it would be
 * by default may as well not run. Undefined: none is named, and none was found.
 */
export async function askService(io: Io, timeoutMs: number): Promise<ServiceSighting | undefined> {
  const named = nonEmpty(io.env['KEYTURN_URL'])
  let url = named ?? ''
  try {
    const target = await findTarget(io)
    url = nameOf(target.address)
    const token = readersToken(io, target)
    const api = createApi({ address: target.address, token, idempotencyKey: () => '' })
    return { url, credentials: await within(io, api.summaries(), { timeoutMs, url }) }
  } catch (thrown) {
    if (named === undefined) return undefined
    return { url, credentials: [], problem: toKeyturnError(thrown, 'asking the service failed') }
  }
}

/** An operator sees every credential, an app its own. */
function readersToken(io: Io, target: Target): Token {
  try {
    return findToken(io, target, 'operator')
  } catch {
    return findToken(io, target, 'app')
  }
}

async function within<Value>(
  io: Io,
  work: Promise<Value>,
  { timeoutMs, url }: { readonly timeoutMs: number; readonly url: string },
): Promise<Value> {
  let cancel: (() => void) | undefined
  const limit = new Promise<never>((_, reject) => {
    cancel = io.after(timeoutMs, () =>
      reject(
        new KeyturnError('service_unreachable', `${url} did not answer within ${timeoutMs / 1_000} s`, {
          fix: 'Check KEYTURN_URL and the network between, and whether the service there is well.',
          retryable: true,
        }),
      ),
    )
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    cancel?.()
  }
}
