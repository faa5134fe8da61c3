import { expect, it } from 'vitest'
import { looksLikeKey, redactKeys } from '../../src/core/key-shape.ts'
import { soundMeta } from '../../src/core/sound-meta.ts'

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const secrets: readonly (readonly [string, string])[] = [
  ['a project key', ['sk', 'proj', 'Ab3'.repeat(20)].join('-')],
  ['an older key', `sk-${'Ab3'.repeat(16)}`],
  [
    'a token that proves an identity',
    [part({ alg: 'RS256' }), part({ sub: 'app' }), 'Ab3'.repeat(20)].join('.'),
  ],
  ['an age identity', `AGE-SECRET-KEY-1${'Q2'.repeat(29)}`],
]

it.each(secrets)('%s is known for one, and replaced', (_what, secret) => {
  expect(looksLikeKey(secret)).toBe(true)
  expect(looksLikeKey(JSON.stringify({ fix: `Do not send ${secret}.` }))).toBe(true)
  expect(redactKeys(`It was ${secret}.`)).toBe('It was [redacted].')
})

it('plain words are not', () => {
  for (const text of ['task-force-of-the-quarter', 'eyJ is how they begin', 'sk-short'])
    expect(looksLikeKey(text)).toBe(false)
})

it.each(secrets)('%s is left out of metadata, which anybody may have written', (_what, secret) => {
  const meta = { keyId: 'key_1', serviceAccount: secret, marker: `before ${secret}` }
  expect(soundMeta(meta)).toEqual({ keyId: 'key_1' })
})
