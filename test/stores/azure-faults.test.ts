import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyturnError } from '../../src/core/errors.ts'
import type { SecretStore } from '../../src/core/ports.ts'
import { establish, failure, newSecret, stageNew } from '../conformance/store-suite-support.ts'
import { type AzurePlace, startAzure } from './fakes/azure-place.ts'
import type { HttpFaultKind } from './fakes/http-faults.ts'
import { impatience } from './fakes/impatience.ts'
import { testSystem } from './fakes/system.ts'

let place: AzurePlace
let store: SecretStore

beforeEach(async () => {
  place = await startAzure()
  store = await place.open()
})
afterEach(() => place.end())

/** One attempt and no patience with what gets no answer, so that each fault comes through to the driver. */
function openImpatient(): Promise<SecretStore> {
  return place.open({ maxAttempts: 1 }, { ...place.context, system: impatience(place.fake) })
}

describe('errors of Key Vault', () => {
  const cases: readonly (readonly [
    kind: HttpFaultKind,
    code: KeyturnError['code'],
    retryable: boolean,
    says: string,
  ])[] = [
    [401, 'store_denied', false, 'tenant'],
    [403, 'store_denied', false, 'Microsoft.KeyVault/vaults/secrets/getSecret/action'],
    [429, 'store_throttled', true, 'tried again'],
    [500, 'store_unreachable', true, 'status of Azure Key Vault'],
    [503, 'store_unreachable', true, 'status of Azure Key Vault'],
    [307, 'store_unreachable', false, 'redirected'],
    [418, 'store_malformed', true, 'proxy'],
    ['proxy_page', 'store_unreachable', true, 'proxy'],
    ['huge', 'store_malformed', true, 'proxy'],
    ['hang', 'store_unreachable', true, 'network'],
    ['reset', 'store_unreachable', true, 'network'],
  ]
  it.each(cases)('turns %s into %s', async (kind, code, retryable, says) => {
    await establish(store, 'openai')
    const impatient = await openImpatient()
    await impatient.read('openai')
    place.fake.fault(kind, { times: 9 })
    const error = await failure(impatient.read('openai'))
    expect([error.code, error.retryable], error.message).toEqual([code, retryable])
    expect(`${error.message} ${error.fix}`).toContain(says)
    expect(error.message).toContain('openai')
    expect(error.fix).toBeTruthy()
  })

  it('tries again what passes, also writes that Azure refuses because they came at once', async () => {
    for (const kind of [429, 500, 'reset'] as const) {
      place.fake.fault(kind, { on: (line) => line.startsWith('GET'), times: 2 })
      await stageNew(store, 'openai')
    }
    place.fake.fault(409, { on: (line) => line.startsWith('PUT'), times: 10 })
    await establish(store, 'openai')
    place.fake.fault(409, { on: (line) => line.startsWith('PATCH'), times: 5 })
    await establish(store, 'openai')
  })

  it('waits for as long as Key Vault asks', async () => {
    const pauses: number[] = []
    const system: typeof testSystem = {
      ...testSystem,
      after(delayMs, callback, options) {
        if (options?.background === true) return testSystem.after(delayMs, callback, options)
        pauses.push(delayMs)
        return testSystem.after(0, callback)
      },
    }
    const patient = await place.open({}, { ...place.context, system })
    await establish(store, 'openai')
    await patient.read('openai')
    place.fake.retryAfterSeconds(7)
    place.fake.fault(429)
    expect(await patient.read('openai')).toBeDefined()
    expect(pauses).toEqual([7_000])
  })

  it('is unreachable where nobody listens, and where the certificate is not trusted', async () => {
    const nowhere = await place.open({ vault: 'https://127.0.0.1:1', maxAttempts: 1 })
    expect((await failure(nowhere.read('openai'))).code).toBe('store_unreachable')
    const wary = await place.openWithoutAuthority({ maxAttempts: 1 })
    const error = await failure(wary.read('openai'))
    expect([error.code, error.fix?.includes('caFile')]).toEqual(['store_unreachable', true])
  })

  it('names what is not allowed, for each change, as roles and as access policies', async () => {
    const { version } = await establish(store, 'openai')
    const other = await establish(store, 'openai')
    const back = { to: version, expectCurrent: other.version, fence: 1 }
    const sibling = 'openai-keyturn'
    const changes: readonly (readonly [rule: string, role: string, change: () => Promise<unknown>])[] = [
      [`set ${sibling}`, 'setSecret/action (in access policies: Set)', () => stageNew(store, 'openai')],
      [`list ${sibling}`, 'readMetadata/action (in access policies: List)', () => stageNew(store, 'openai')],
      ['set openai', 'setSecret/action', () => store.promote('openai', back)],
      ['list openai', 'readMetadata/action', () => store.promote('openai', back)],
      [`update ${sibling}`, 'update/action', () => store.retire('openai', { version, fence: 1 })],
      ['get openai', 'getSecret/action', () => store.retire('openai', { version, fence: 1 })],
    ]
    for (const [rule, role, change] of changes) {
      place.fake.deny(rule)
      const error = await failure(change())
      expect([rule, error.code]).toEqual([rule, 'store_denied'])
      expect(error.fix).toContain(role)
      expect(error.fix).toContain(rule.split(' ')[1])
    }
    place.fake.deny('get openai')
    place.fake.denyWith('ForbiddenByFirewall')
    expect((await failure(store.read('openai'))).fix).toContain('network-rule')
    place.fake.deny()
    expect(await store.describe('openai')).toMatchObject({ current: other.version, previous: version })
  })

  it('reads the key of who may not see the sibling, and says once that metadata is missing', async () => {
    const { version, secret } = await establish(store, 'openai')
    place.fake.deny('get openai-keyturn', 'list openai-keyturn')
    for (let round = 0; round < 3; round += 1) {
      const read = await store.read('openai')
      expect([read?.version, read?.secret.equals(secret), read?.meta]).toEqual([version, true, {}])
    }
    expect(place.context.warnings).toHaveLength(1)
  })

  it('says that the newest version is disabled, and how to take that back', async () => {
    await establish(store, 'openai')
    const top = place.fake.top('openai')
    if (top !== undefined) top.enabled = false
    const calls = [
      () => store.read('openai'),
      () => store.describe('openai'),
      () => stageNew(store, 'openai'),
    ]
    for (const call of calls) {
      const error = await failure(call())
      expect([error.code, error.fix?.includes('set-attributes')]).toEqual(['store_disabled', true])
    }
  })

  it('says which secret is deleted, and how to recover it', async () => {
    await establish(store, 'openai')
    for (const name of ['openai', 'openai-keyturn']) {
      place.fake.softDelete(name)
      for (const call of [() => store.describe('openai'), () => stageNew(store, 'openai')]) {
        const error = await failure(call())
        expect([error.code, error.fix]).toEqual([
          'store_disabled',
          `az keyvault secret recover --name ${name} --vault-name 127`,
        ])
      }
      const secret = place.fake.secrets.get(name)
      if (secret !== undefined) secret.isDeleted = false
    }
  })

  it('shows a missing permission before anything is minted, and changes nothing', async () => {
    await establish(store, 'openai')
    place.fake.deny('update openai', 'list openai-keyturn')
    const before = JSON.stringify([...place.fake.secrets])
    const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
    expect(
      missing.map(({ permission, resource }) => [permission.split('/').slice(3).join('/'), resource]),
    ).toEqual([
      ['readMetadata/action', 'openai-keyturn'],
      ['update/action', 'openai'],
    ])
    expect(missing.every(({ fix }) => fix !== undefined)).toBe(true)
    expect(JSON.stringify([...place.fake.secrets])).toBe(before)
  })
})

describe('the credentials', () => {
  it('are refused with what can be done, and what Entra ID said is not shown', async () => {
    const env = { ...place.context.env, AZURE_CLIENT_SECRET: newSecret().reveal() }
    const wrong = await place.open({}, { ...place.context, env })
    const error = await failure(wrong.read('openai'))
    expect([error.code, error.retryable]).toEqual(['store_denied', false])
    expect(error.fix).toContain('managed identity')
    expect(error.fix).toContain('az login')
  })

  it('are asked for with an end', async () => {
    const system: typeof testSystem = {
      ...testSystem,
      after: (delayMs, callback, options) => testSystem.after(delayMs / 40, callback, options),
    }
    const impatient = await place.open({ maxAttempts: 1 }, { ...place.context, system })
    place.fake.fault('hang', { on: (line) => line.includes('openid-configuration') })
    const error = await failure(impatient.read('openai'))
    expect([error.code, error.retryable]).toEqual(['store_unreachable', true])
    expect(error.message).toContain('Entra ID')
  })

  it('are unreachable and not refused where Entra ID fails', async () => {
    for (const kind of [503, 'reset'] as const) {
      const impatient = await openImpatient()
      place.fake.fault(kind, { on: (line) => line.includes('/v2.0/'), times: 9 })
      expect((await failure(impatient.read('openai'))).code).toBe('store_unreachable')
      place.fake.clear()
      await impatient.read('openai')
    }
  })

  it('that are refused later on are told as such', async () => {
    await establish(store, 'openai')
    place.fake.endTokens()
    const error = await failure(store.read('openai'))
    expect([error.code, error.fix?.includes('tenant')]).toEqual(['store_denied', true])
  })

  it('are not needed any more once the store is closed: what is under way ends', async () => {
    await establish(store, 'openai')
    place.fake.fault('hang')
    const reading = failure(store.read('openai'))
    await store.close()
    expect((await reading).code).toBe('store_unreachable')
    expect((await failure(store.read('openai'))).code).toBe('store_unreachable')
  })
})
