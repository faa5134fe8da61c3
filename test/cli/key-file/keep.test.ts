import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type KeepGoing, keepGoing, type Told } from '../../../src/cli/key-file/keep.ts'
import type { OpenAICredential } from '../../../src/client/types.ts'
import { KeyturnError } from '../../../src/core/errors.ts'

const credential: OpenAICredential = {
  name: 'openai',
  apiKey: 'the-key',
  organization: null,
  project: null,
  baseUrl: 'https://api.openai.com/v1',
  version: 'v1',
  fingerprint: '0123456789ab',
  stage: 'current',
  verdict: 'valid',
  verifiedAt: '2026-11-26T00:00:00.000Z',
  rotatesAt: null,
  generation: 1,
}

/** Keeps a file in memory. Before each look the test does what it wants; it ends with the last. */
async function looks(
  before: readonly ((text: { of: string }) => void)[],
  own: Partial<KeepGoing> = {},
  atEnd: (text: { of: string }) => void = nothing,
) {
  let isPending = false
  const text = { of: '' }
  const told: Told['kind'][] = []
  const waits: number[] = []
  const listeners: number[] = []
  const end = new AbortController()
  const { signal } = end
  await keepGoing({
    supply: {
      client: { getOpenAICredential: async () => credential } as KeepGoing['supply']['client'],
      onChange: () => () => undefined,
      use: () => () => undefined,
    },
    file: {
      path: '/run/key',
      read: () => text.of,
      change(next) {
        const act = before[waits.length] ?? atEnd
        act(text)
        const wanted = next(text.of) ?? ''
        const isChanged = wanted !== text.of
        text.of = wanted
        isPending ||= isChanged
        return isChanged
      },
      isPending: () => isPending,
      settle: () => {
        isPending = false
      },
      tryOut: () => undefined,
      cleanUp: () => 0,
    },
    shape: { format: 'raw', variable: 'OPENAI_API_KEY' },
    look: () => undefined,
    hook: undefined,
    asError: (thrown) => thrown as KeyturnError,
    tell: ({ kind }) => void told.push(kind),
    after(delayMs, callback) {
      waits.push(delayMs)
      listeners.push(getEventListeners(signal, 'abort').length)
      if (waits.length >= before.length) end.abort()
      else setImmediate(callback)
      return () => undefined
    },
    signal,
    isRemovedAtEnd: false,
    ...own,
  })
  return { text: text.of, told, waits, listeners }
}

const nothing = () => undefined
const somebodyElse = (text: { of: string }) => {
  text.of = 'theirs'
}
const failing = () => {
  throw new KeyturnError('file_unusable', 'the disk is full', { retryable: true })
}

describe('a file that is kept', () => {
  it('is looked at less and less often while somebody else keeps on writing it, and as before once they stop', async () => {
    const { told, waits, text } = await looks([
      nothing,
      somebodyElse,
      somebodyElse,
      somebodyElse,
      nothing,
      somebodyElse,
    ])
    expect(told).toEqual(['written', 'restored', 'restored', 'restored', 'restored'])
    expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 10_000, 20_000])
    expect(text).toBe('the-key')
  })

  it('is tried again later and later after a failure, which is told once', async () => {
    const { told, waits, text } = await looks([failing, failing, failing, nothing, failing, nothing])
    expect(told).toEqual(['trouble', 'written', 'trouble'])
    expect(waits).toEqual([1_000, 2_000, 4_000, 10_000, 1_000, 10_000])
    expect(text).toBe('the-key')
  })

  it('is followed by the hook after a change alone, again until that succeeds', async () => {
    const runs: string[] = []
    const hook = async ({ fingerprint }: OpenAICredential) => {
      runs.push(fingerprint)
      if (runs.length < 3) throw new KeyturnError('timeout', 'the hook is late', { retryable: true })
    }
    const { told } = await looks([nothing, nothing, nothing, nothing, nothing, somebodyElse], { hook })
    expect(told).toEqual(['written', 'trouble', 'hook-done', 'restored', 'hook-done'])
    expect(runs).toHaveLength(4)
  })

  it('loses the key at the end where that is asked for, but for what somebody else has put there', async () => {
    expect((await looks([nothing], { isRemovedAtEnd: true })).text).toBe('')
    expect((await looks([nothing], { isRemovedAtEnd: true }, somebodyElse)).text).toBe('theirs')
    expect((await looks([nothing])).text).toBe('the-key')
  })

  it('is not waited for where the first key is refused for good', async () => {
    const refused = () => {
      throw new KeyturnError('unauthenticated', 'the token is not known')
    }
    await expect(looks([refused, nothing])).rejects.toMatchObject({ code: 'unauthenticated' })
    expect((await looks([nothing, refused, nothing])).told).toEqual(['written', 'trouble'])
  })

  it('leaves nothing behind of a look, however many there are', async () => {
    const { listeners } = await looks(Array.from({ length: 50 }, () => nothing))
    expect(new Set(listeners)).toEqual(new Set([0]))
  })
})
