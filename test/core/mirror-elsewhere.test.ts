import { expect, it } from 'vitest'
import type { CredentialState, Verdict, VerdictKind } from '../../src/core/types.ts'
import { recordCheck } from '../../src/core/verification.ts'
import { changeContext, policyOf, recordWith, startAt, stateOf, verdictOf } from './fixtures.ts'

const mirror = 'gcp/openai'
const policy = policyOf({ mirrors: [mirror] })

/** A mirror has somebody's key, and OpenAI says of the current one what is given. */
function stateWith(kind: VerdictKind): CredentialState {
  const current = recordWith('a', { stage: 'current', promotedAt: startAt, verdict: verdictOf(kind) })
  const theirs = recordWith('theirs', { stage: 'pending', origin: 'found' })
  const foreign = { version: 'theirs', isRefused: false }
  return {
    ...stateOf([current, theirs]),
    mirrors: [{ id: mirror, nextAt: startAt, retries: 0, holds: [], foreign }],
  }
}

function refusedAfter(state: CredentialState, cause: Verdict['cause']): boolean | undefined {
  const verdict = verdictOf('misconfigured', { cause })
  const check = { verdict, isOurs: false, belonging: undefined }
  const after = recordCheck(state, 'theirs', check, changeContext(startAt, policy)).state
  return after.mirrors?.[0]?.foreign?.isRefused
}

for (const cause of ['organization_mismatched', 'project_mismatched'] as const) {
  it(`a key in a mirror that OpenAI answers with ${cause} is somebody else's where the current key is accepted`, () => {
    expect(refusedAfter(stateWith('valid'), cause)).toBe(true)
  })

  it(`${cause} says nothing of it where the current key is answered so too: the configuration may be wrong`, () => {
    expect(refusedAfter(stateWith('misconfigured'), cause)).toBe(false)
  })
}

it('any other refusal of what was sent says nothing of whose key it is', () => {
  expect(refusedAfter(stateWith('valid'), 'address_not_allowed')).toBe(false)
})
