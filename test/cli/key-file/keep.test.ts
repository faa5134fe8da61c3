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
async function looks(before: readonly ((text: { of: string }) => void)[], own: Partial<KeepGoing> = {}) {
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
        before[waits.length]?.(text)
        const wanted = next(text.of) ?? ''
        const isChanged = wanted !== text.of
        text.of = wanted
        return isChanged
      },
      isPending: () => false,
      settle: () => undefined,
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

  it('leaves nothing behind of a look, however many there are', async () => {
    const { listeners } = await looks(Array.from({ length: 50 }, () => nothing))
    expect(new Set(listeners)).toEqual(new Set([0]))
  })
})
