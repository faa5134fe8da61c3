import { expect, it } from 'vitest'
import { fenceTag, readFence, readVersionTags, versionTags } from '../../src/stores/aws-tags.ts'
import { readShelf } from '../../src/stores/shelf-document.ts'

const instantMax = 8.64e15
const escape = '\u001b'

/** What somebody else may write, and what of it is taken. */
const entry = (change: object): string =>
  JSON.stringify({
    format: 1,
    fence: 3,
    current: 'v1',
    versions: [
      { version: 'v1', stagedAt: 5, isRetired: false, meta: { keyId: 'key_1', createdAt: 7 }, ...change },
      { version: 'v2', stagedAt: 4, isRetired: false, meta: {} },
    ],
  })

const unsound: readonly (readonly [string, object])[] = [
  ['a text of 257 characters', { keyId: 'k'.repeat(257) }],
  ['a text of a megabyte', { marker: 'm'.repeat(1_000_000) }],
  ['a text with an escape', { project: `${escape}[2Jgone` }],
  ['a text of two lines', { organization: 'a\nb' }],
  ['an empty text', { serviceAccount: '' }],
  ['a number for a text', { keyId: 5 }],
  ['an instant that is no date', { expiresAt: instantMax + 2 }],
  ['an instant before 1970', { expiresAt: -1 }],
  ['a part of a millisecond', { createdAt: 1.5 }],
  ['a text for an instant', { createdAt: '2026' }],
  ['what nobody knows', { evil: 'x' }],
]
it.each(unsound)('of a pointer document, %s is left out, and the rest stays', (_what, meta) => {
  const shelf = readShelf(entry({ meta: { ...meta, keyId: 'keyId' in meta ? meta.keyId : 'key_1' } }))
  expect(shelf?.versions.map(({ version }) => version)).toEqual(['v1', 'v2'])
  expect(shelf?.versions[0]?.meta).toEqual('keyId' in meta ? {} : { keyId: 'key_1' })
})

it('takes what is just within the limits', () => {
  const meta = { keyId: 'k'.repeat(256), createdAt: 0, expiresAt: instantMax }
  expect(readShelf(entry({ meta }))?.versions[0]?.meta).toEqual(meta)
})

it('a document never has an instant that no date can be', () => {
  const shelf = readShelf(entry({ stagedAt: instantMax + 2 }))
  for (const { stagedAt } of shelf?.versions ?? [])
    expect(() => new Date(stagedAt).toISOString()).not.toThrow()
  expect(shelf?.versions).toHaveLength(2)
})

it.each([
  ['a version id that is none', entry({ version: '../x' })],
  ['a negative instant', entry({ stagedAt: -1 })],
  ['metadata that is a list', entry({ meta: [] })],
  ['a fence that is no safe integer', entry({}).replace('"fence":3', '"fence":9007199254740993')],
  ['a negative fence', entry({}).replace('"fence":3', '"fence":-1')],
])('%s is a damaged document', (_what, text) => {
  expect(readShelf(text)).toBeUndefined()
})

it('of the tags in AWS, what does not fit is left out, and the rest stays', () => {
  const id = '6f1c1c6e-1111-4222-8333-444455556666'
  const tags = new Map(
    Object.entries({
      ...versionTags('openai', id, { stagedAt: 5, isRetired: false, meta: { keyId: 'key_1', createdAt: 7 } }),
      [`keyturn:v:${'x'.repeat(129)}`]: 't=5',
      'keyturn:v:a b': 't=5',
      'keyturn:v:second': `t=${(instantMax + 2).toString(36)} c=-5 e=${(9e15).toString(36)} k=@${Buffer.from(escape).toString('base64url')} m=mark`,
      [fenceTag]: '1e400',
    }),
  )
  const found = readVersionTags(tags)
  expect([...found.keys()]).toEqual([id, 'second'])
  expect(found.get(id)).toMatchObject({ stagedAt: 5, meta: { keyId: 'key_1', createdAt: 7 } })
  expect(found.get('second')).toEqual({ stagedAt: 0, isRetired: false, meta: { marker: 'mark' } })
  expect(readFence(tags)).toBe(0)
})
