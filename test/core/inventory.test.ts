import { describe, expect, it } from 'vitest'
import { inventoryOf } from '../../src/core/inventory.ts'
import type { InventoryKey } from '../../src/core/ports.ts'
import { newRetirement } from '../../src/core/retirement.ts'
import { Secret } from '../../src/core/secret.ts'
import { changeContext, recordWith, startAt, stateOf } from './fixtures.ts'

const secretOf = (name: string): Secret => new Secret(['sk', 'proj', name.padEnd(30, 'x')].join('-'))

function keyOf(name: string, change: Partial<InventoryKey> = {}): InventoryKey {
  return {
    keyId: `key-${name}`,
    kind: 'project',
    name,
    redacted: `${secretOf(name).reveal().slice(0, 12)}...xxxx`,
    owner: 'user',
    project: { id: 'proj_1', name: 'Payments' },
    createdAt: startAt,
    ...change,
  }
}

const walk = newRetirement(
  { id: 'r1', version: 'old', keyId: 'key-old', isForced: false, why: '' },
  changeContext(startAt),
)
const states = [
  stateOf(
    [
      recordWith('now', { stage: 'current' }),
      recordWith('old', { stage: 'previous' }),
      recordWith('gone', { stage: 'previous' }),
      recordWith('mine', { stage: 'previous', origin: 'found', meta: { keyId: 'key-stranger' } }),
    ],
    { retirements: [walk] },
  ),
]
const keys = ['stranger', 'now', 'mine', 'old', 'orphan'].map((name) => keyOf(name))
const input = {
  keys,
  states,
  suspects: [{ keyId: 'key-orphan', marker: 'orphan', firstAt: startAt }],
  secrets: [{ credential: 'openai', version: 'mine', secret: secretOf('mine') }],
  listed: new Set(['openai']),
}

describe('an inventory', () => {
  it('says who holds each key, what needs attention first', () => {
    const rows = inventoryOf(input).map(({ key, standing, holders }) => [
      key.keyId,
      standing,
      holders.map(({ version, stage }) => `${version} ${stage}`).join(),
    ])
    expect(rows).toEqual([
      ['key-orphan', 'suspect', ''],
      ['key-gone', 'unlisted', 'gone previous'],
      ['key-now', 'held', 'now current'],
      // By its value: the id beside it is only the word of the store, and names somebody else's.
      ['key-mine', 'held', 'mine previous'],
      ['key-old', 'ending', 'old previous'],
      ['key-stranger', 'unknown', ''],
    ])
  })

  it('calls nothing held by a value that two keys fit', () => {
    const twin = keyOf('mine', { keyId: 'key-twin' })
    const rows = inventoryOf({ ...input, keys: [...keys, twin] })
    expect(rows.filter(({ key }) => key.name === 'mine').map(({ standing }) => standing)).toEqual([
      'unknown',
      'unknown',
    ])
  })

  it('calls nothing unlisted where something could not be listed', () => {
    const rows = inventoryOf({ ...input, listed: new Set() })
    expect(rows.map(({ standing }) => standing)).not.toContain('unlisted')
  })
})
