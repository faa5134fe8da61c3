import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyturnError } from '../../src/core/errors.ts'
import { readEventGrid } from '../../src/hooks/azure-event-grid.ts'
import { credentialsOf, type DueSecret, isAnswered, type LatestTurn } from '../../src/hooks/due.ts'
import { googlePlace, readPubSub } from '../../src/hooks/google-pubsub.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** When it was said. */
const at = Date.UTC(2026, 10, 26)
const never: LatestTurn = {
  isRunning: false,
  startedAt: undefined,
  promotedAt: undefined,
  mintedAt: undefined,
}
const answered = (turn: Partial<LatestTurn>, due: Partial<DueSecret> = {}): boolean =>
  isAnswered({ place: undefined, secret: 'openai', at, why: 'a test', ...due }, { ...never, ...turn }, at)

describe('what a store says', () => {
  it.each<[string, Partial<LatestTurn>, boolean]>([
    ['of a key that was never turned', {}, false],
    ['while a rotation runs', { isRunning: true, startedAt: at - dayMs }, true],
    ['twice', { startedAt: at + minuteMs }, true],
    ['by a clock that is ahead', { startedAt: at - 4 * minuteMs }, true],
    ['after a rotation that came to nothing', { startedAt: at - 6 * minuteMs }, false],
    ['an hour after the last time', { startedAt: at - 60 * minuteMs, promotedAt: at - 45 * minuteMs }, false],
    ['of a key that became current since', { promotedAt: at + minuteMs }, true],
    ['again and again', { startedAt: at - 20 * minuteMs, promotedAt: at - 19 * minuteMs }, true],
  ])('%s: begins a rotation unless it is answered (%j: %s)', (_what, turn, isDone) => {
    expect(answered(turn)).toBe(isDone)
  })

  it('is of no later than now, whatever it says', () => {
    const due = { at: at + 3_650 * dayMs }
    expect(answered({ promotedAt: at - 19 * minuteMs }, due)).toBe(true)
    expect(answered({ promotedAt: at - 60 * minuteMs }, due)).toBe(false)
  })

  it('of the end of a key is left to its own turn where the key is younger than it has to live', () => {
    const due = { expiresAt: at + 30 * dayMs }
    expect(answered({ mintedAt: at - 40 * minuteMs }, due)).toBe(true)
    expect(answered({ mintedAt: at - 335 * dayMs }, due)).toBe(false)
    // Nothing turns it for its expiry.
    expect(answered({}, due)).toBe(false)
    expect(answered({ mintedAt: at - 40 * minuteMs })).toBe(false)
  })
})

it.each([
  ['openai', { project: 'acme' }, 'projects/acme/secrets/openai', true],
  ['openai', {}, 'projects/123/secrets/openai', true],
  [
    'openai',
    { project: 'acme', location: 'europe-west3' },
    'projects/acme/locations/europe-west3/secrets/openai',
    true,
  ],
  ['openai', { project: 'acme', location: 'europe-west3' }, 'projects/acme/secrets/openai', false],
  ['openai', { project: 'acme' }, 'projects/acme/locations/europe-west3/secrets/openai', false],
  [
    'projects/acme/locations/us-east1/secrets/openai',
    {},
    'projects/acme/locations/us-east1/secrets/openai',
    true,
  ],
  [
    'projects/acme/locations/us-east1/secrets/openai',
    {},
    'projects/acme/locations/europe-west3/secrets/openai',
    false,
  ],
])('Google: the secret %s of %j is %s: %s', (ref, store, secretId, isSame) => {
  const attributes = { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId }
  const due = readPubSub({ message: { messageId: '1', publishTime: '2026-11-26T00:00:00Z', attributes } })
  const found = due === undefined ? [] : credentialsOf(due, [googlePlace('one', ref, store)])
  expect(found).toEqual(isSame ? ['one'] : [])
})

it('whatever is sent is read or refused, and a refusal quotes nothing of it', () => {
  const keys = ['message', 'attributes', 'publishTime', 'messageId', 'eventType', 'secretId', 'dataFormat']
  const others = ['data', 'id', 'eventTime', 'specversion', 'type', 'time', 'ObjectType', '__proto__', '0']
  const texts = [
    'SECRET_ROTATE',
    'JSON_API_V1',
    'Secret',
    '2026-11-26T00:00:00Z',
    'constructor',
    '\u0000',
    '',
  ]
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constantFrom(null, true, 0, -1, 1e300, ...texts, 'Microsoft.KeyVault.SecretNearExpiry'),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...keys, ...others), tie('value'), { maxKeys: 6 }),
    ),
  }))
  const refusals = new Set<string>()
  fc.assert(
    fc.property(value, (body) => {
      for (const read of [readPubSub, readEventGrid])
        try {
          read(JSON.parse(JSON.stringify(body)))
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(KeyturnError)
          refusals.add(`${(thrown as KeyturnError).code} ${(thrown as KeyturnError).message}`)
        }
    }),
    { numRuns: 800 },
  )
  expect([...refusals].toSorted()).toEqual([
    'bad_request The body is no event of Event Grid about a secret.',
    'bad_request The body is no message of Pub/Sub about a secret.',
  ])
})
