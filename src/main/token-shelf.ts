import { KeyturnError } from '../core/errors.ts'
import type { Log, System } from '../core/ports.ts'
import type { PostgresShelf } from '../ledger/postgres-shelf.ts'
import { createTokenFile, parseTokens, tokensText } from '../server/token-file.ts'
import type { ShelfContent, StoredToken, TokenShelf } from '../server/token-shelf.ts'

export interface SharedShelfOptions {
  readonly shelf: PostgresShelf
  /** What was read last stays in this file, so that a start without the database lets in whom it let in before. */
  readonly cacheFile: string
  /** Tokens of before the database was shared; they are taken up where it has none yet. */
  readonly formerFile: string
  readonly system: System
  readonly log: Log
}

/** The tokens of all replicas, in PostgreSQL. */
export function sharedTokenShelf(options: SharedShelfOptions): TokenShelf {
  const { shelf, system, log } = options
  const { where } = shelf
  const inMessages = `T${where.slice(1)}`
  const cache = createTokenFile(options.cacheFile, system)
  const former = createTokenFile(options.formerFile, system)

  async function keep(content: ShelfContent): Promise<ShelfContent> {
    try {
      await cache.change(() => ({ tokens: content.tokens, result: undefined }))
    } catch (thrown) {
      log(
        'warn',
        'the tokens could not be kept beside the database; a start without it would let nobody in',
        {
          error: thrown,
        },
      )
    }
    return content
  }

  async function change<Result>(
    work: (tokens: readonly StoredToken[]) => {
      readonly tokens: readonly StoredToken[]
      readonly result: Result
    },
    first: readonly StoredToken[],
  ): Promise<{ readonly content: ShelfContent; readonly result: Result }> {
    const { shelved, result } = await shelf.change((body) => {
      const { tokens, result } = work(body === undefined ? first : parseTokens(inMessages, body))
      return { body: tokensText(tokens), result: { tokens, result } }
    })
    const content = await keep({ tokens: result.tokens, signature: shelved.signature })
    return { content, result: result.result }
  }

  async function read(): Promise<ShelfContent> {
    const { body, signature } = await shelf.read()
    if (body !== undefined) return keep({ tokens: parseTokens(inMessages, body), signature })
    const { tokens } = await former.read()
    return (await change((there) => ({ tokens: there, result: undefined }), tokens)).content
  }

  /** Undefined where nothing was ever kept. */
  async function readCache(): Promise<ShelfContent | undefined> {
    const { tokens, signature } = await cache.read()
    return signature === 'absent' ? undefined : { tokens, signature: `kept ${signature}` }
  }

  return {
    where,
    async read() {
      try {
        return await read()
      } catch (thrown) {
        if (!isAway(thrown)) throw thrown
        const kept = await readCache()
        if (kept === undefined) throw thrown
        log('warn', 'the tokens cannot be read from the database; those that were kept are good meanwhile', {
          error: thrown,
        })
        return kept
      }
    },
    signature: () => shelf.signature(),
    change: (work) => change(work, []),
    async close() {
      await Promise.all([shelf.close(), cache.close(), former.close()])
    },
  }
}

function isAway(thrown: unknown): boolean {
  return thrown instanceof KeyturnError && thrown.code === 'ledger_unreachable'
}
