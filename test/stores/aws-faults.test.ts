import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { awsError } from '../../src/stores/aws-errors.ts'
import { canary, establish, failure, stageNew } from '../conformance/store-suite-support.ts'
import { type AwsPlace, openAws, startAws } from './fakes/aws-place.ts'
import { impatience } from './fakes/impatience.ts'

let place: AwsPlace
let store: SecretStore

beforeEach(async () => {
  place = await startAws()
  store = await openAws(place, { createIfAbsent: true })
})
afterEach(() => place.end())

/** One attempt and no patience with what gets no answer, so that each fault comes through to the driver. */
function openImpatient(): Promise<SecretStore> {
  const context = { ...place.context, system: impatience(place.fake) }
  return openAws(place, { createIfAbsent: true, maxAttempts: 1 }, context)
}

describe('errors of AWS', () => {
  const cases: readonly (readonly [
    type: string,
    code: KeyturnError['code'],
    retryable: boolean,
    says: string,
  ])[] = [
    ['AccessDeniedException', 'store_denied', false, 'secretsmanager:GetSecretValue'],
    ['UnrecognizedClientException', 'store_denied', false, 'credentials'],
    ['ExpiredTokenException', 'store_denied', false, 'credentials'],
    ['DecryptionFailure', 'store_denied', false, 'kms:Decrypt'],
    ['InvalidRequestException', 'store_disabled', false, 'restore-secret'],
    ['ThrottlingException', 'store_throttled', true, 'throttled'],
    ['LimitExceededException', 'store_throttled', true, 'quota'],
    ['InternalServiceError', 'store_unreachable', true, 'network'],
    ['SomethingNobodyKnows', 'store_malformed', true, 'proxy'],
  ]
  it.each(cases)('turns %s into %s', async (type, code, retryable, says) => {
    const impatient = await openAws(place, { maxAttempts: 1 })
    place.fake.answer('GetSecretValue', { type, message: `Value '${canary}' at 'secretString' is bad` })
    const error = await failure(impatient.read('openai'))
    expect([error.code, error.retryable]).toEqual([code, retryable])
    expect(`${error.message} ${error.fix}`).toContain(says)
    expect(error.message).toContain('openai')
    expect(error.message).toContain('eu-central-1')
    expect(error.fix).toBeTruthy()
  })

  it('says where credentials are looked for where there are none: nothing was refused', () => {
    const thrown = Object.assign(new Error(canary), { name: 'CredentialsProviderError' })
    const call = { permission: 'secretsmanager:GetSecretValue', ref: 'openai', region: 'eu-central-1' }
    const { code, message, fix } = awsError(thrown, call)
    expect([code, message]).toEqual([
      'store_denied',
      'There are no AWS credentials for secretsmanager:GetSecretValue on openai in eu-central-1 (CredentialsProviderError).',
    ])
    for (const place of ['AWS_ACCESS_KEY_ID', 'AWS_PROFILE', '~/.aws', 'AWS_WEB_IDENTITY_TOKEN_FILE'])
      expect(fix).toContain(place)
  })

  it('says of a key that is no document which setting is for it', async () => {
    await establish(store, 'openai')
    const json = await openAws(place, { format: 'json' })
    const error = await failure(json.read('openai'))
    expect([error.code, error.fix?.startsWith('Set format: plain for the store of openai')]).toEqual([
      'store_malformed',
      true,
    ])
  })

  it('names the action that is not allowed, for each change', async () => {
    const { version } = await establish(store, 'openai')
    const other = await establish(store, 'openai')
    const back = { to: version, expectCurrent: other.version, fence: 9 }
    const changes: readonly (readonly [action: string, change: () => Promise<unknown>])[] = [
      ['PutSecretValue', () => stageNew(store, 'openai')],
      ['TagResource', () => stageNew(store, 'openai')],
      ['UpdateSecretVersionStage', () => store.promote('openai', { ...back, fence: 1 })],
      ['TagResource', () => store.promote('openai', back)],
      ['TagResource', () => store.retire('openai', { version, fence: 1 })],
      ['DescribeSecret', () => store.retire('openai', { version, fence: 1 })],
      ['CreateSecret', () => stageNew(store, 'other')],
    ]
    for (const [action, change] of changes) {
      place.fake.deny(action)
      const error = await failure(change())
      expect([action, error.code]).toEqual([action, 'store_denied'])
      expect(error.fix).toContain(`secretsmanager:${action}`)
    }
    place.fake.deny()
    expect(await store.describe('openai')).toMatchObject({ current: other.version, previous: version })
  })

  it('says that a secret is marked for deletion, and how to take that back', async () => {
    await establish(store, 'openai')
    const secret = place.fake.secrets.get('openai')
    if (secret !== undefined) secret.deletedAt = 1_795_000_000
    const calls = [
      () => store.read('openai'),
      () => store.describe('openai'),
      () => stageNew(store, 'openai'),
      () => store.check('openai'),
    ]
    for (const call of calls) {
      const error = await failure(call())
      expect([error.code, error.fix?.includes('restore-secret')]).toEqual(['store_disabled', true])
    }
  })
})

describe('answers of AWS that get lost', () => {
  it('settle a promotion by asking what is current', async () => {
    await establish(store, 'openai')
    const impatient = await openImpatient()
    for (const kind of ['lost', 'broken'] as const) {
      const { version } = await stageNew(store, 'openai')
      const expectCurrent = (await store.describe('openai'))?.current
      place.fake.fault({ action: 'UpdateSecretVersionStage', kind })
      expect(await impatient.promote('openai', { to: version, expectCurrent, fence: 1 })).toEqual({
        kind: 'already',
      })
      expect(await store.describe('openai')).toMatchObject({ current: version })
      expect((await store.describe('openai'))?.pending).toBeUndefined()
    }
  })

  it('settle a promotion whose second attempt AWS refused for what the first one did', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    place.fake.fault({ action: 'UpdateSecretVersionStage', kind: 'broken' })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'already' })
  })

  it('settle a staging by reading back what is there', async () => {
    await establish(store, 'openai')
    const impatient = await openImpatient()
    for (const kind of ['lost', 'broken'] as const) {
      place.fake.fault({ action: 'PutSecretValue', kind })
      const { version, secret } = await stageNew(impatient, 'openai')
      expect((await store.read('openai', { version }))?.secret.equals(secret)).toBe(true)
    }
  })

  it('leave a promotion that was not made to be tried again', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const impatient = await openImpatient()
    place.fake.fault({ action: 'UpdateSecretVersionStage', kind: 'hang' })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    const error = await failure(impatient.promote('openai', promote))
    expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
    expect(await impatient.promote('openai', promote)).toEqual({ kind: 'promoted' })
  })

  it('do not hide a promotion behind a pending label that could not be taken off', async () => {
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const impatient = await openImpatient()
    place.fake.before('UpdateSecretVersionStage', () => {
      place.fake.fault({ action: 'UpdateSecretVersionStage', kind: 'internal' })
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await impatient.promote('openai', promote)).toEqual({ kind: 'promoted' })
    expect(place.context.warnings).toHaveLength(1)
    expect((await store.describe('openai'))?.pending).toBeUndefined()
    expect(await store.promote('openai', promote)).toEqual({ kind: 'already' })
    expect([...(place.fake.secrets.get('openai')?.versions.get(version)?.labels ?? [])]).not.toContain(
      'KEYTURN_PENDING',
    )
  })
})
