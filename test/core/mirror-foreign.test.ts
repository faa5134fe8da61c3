import { expect, it } from 'vitest'
import { recordOf } from '../../src/core/credential.ts'
import { observeMirror } from '../../src/core/mirrors.ts'
import { changeContext, policyOf, recordWith, startAt, stateOf } from './fixtures.ts'

const policy = policyOf({ mirrors: ['aws/openai'] })
const ends = [
  ['retired', { stage: 'retired', retiredAt: startAt - 1 }],
  ['withdrawn', { stage: 'previous', withdrawnAt: startAt - 1 }],
  ['compromised', { stage: 'previous', compromised: true }],
] as const

it.each(ends)(
  'a key that is %s already and comes back in a mirror keeps the mark of why it is out',
  (_what, end) => {
    const current = recordWith('now', { stage: 'current' })
    const old = recordWith('old', end)
    const state = stateOf([current, old])
    const { version, fingerprint, meta } = old
    const reading = { kind: 'foreign', goal: 'g', holds: [], found: { version, fingerprint, meta } } as const
    const { state: after } = observeMirror(state, 'aws/openai', reading, changeContext(startAt, policy))
    expect(recordOf(after, 'old')).toEqual(old)
    expect(after.mirrors).toMatchObject([{ foreign: { version: 'old', isRefused: true } }])
  },
)
