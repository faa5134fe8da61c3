import type { TokenAnswer, TokenRequest, TokenRotationRequest, TokenSummary } from '../api/types.ts'
import { KeyturnError } from '../core/errors.ts'
import type { Context } from './command.ts'
import type { LocalTokens } from './io.ts'

export interface Tokens {
  create(request: TokenRequest): Promise<TokenAnswer>
  rotate(request: TokenRotationRequest): Promise<TokenAnswer>
  list(): Promise<readonly TokenSummary[]>
  /** `not_found` where there is no such token. */
  revoke(id: string): Promise<void>
}

/** Tokens through the service, or with --local in the file that a service reads. */
export async function openTokens(context: Context): Promise<Tokens> {
  if (!context.options.has('local')) {
    const api = await context.api()
    return {
      create: (request) => api.createToken(request),
      rotate: (request) => api.rotateToken(request),
      list: () => api.tokens(),
      async revoke(id) {
        try {
          await api.revokeToken(id)
        } catch (error) {
          throw error instanceof KeyturnError && error.code === 'not_found' ? absent(id, '') : error
        }
      },
    }
  }
  const { home } = await context.target()
  const use = async <Result>(work: (tokens: LocalTokens) => Promise<Result> | Result): Promise<Result> => {
    const tokens = await context.io.openLocalTokens(home)
    try {
      return await work(tokens)
    } finally {
      await tokens.close()
    }
  }
  return {
    create: (request) => use((tokens) => tokens.create(request)),
    rotate: (request) => use((tokens) => tokens.rotate(request)),
    list: () => use((tokens) => tokens.list()),
    async revoke(id) {
      if (await use((tokens) => tokens.revoke(id))) return
      throw absent(id, ' --local')
    },
  }
}

/** A careless hand may have given the token itself, which must not be shown. */
function absent(id: string, option: string): KeyturnError {
  const shown = idPattern.test(id) ? ` ${id}` : ''
  return new KeyturnError('not_found', `there is no token with the id${shown}`, {
    fix: `'keyturn token list${option}' shows the ids; they begin with tok_.`,
  })
}

const idPattern = /^tok_[A-Za-z0-9]{1,40}$/
