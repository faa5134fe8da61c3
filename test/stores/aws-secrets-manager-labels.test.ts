import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { openAwsSecretsManagerStore } from '../../src/stores/aws-secrets-manager.ts'
import { canary, establish, failure, someMeta, stageNew } from '../conformance/store-suite-support.ts'
import { type AwsPlace, openAws, startAws } from './fakes/aws-place.ts'

let place: AwsPlace
beforeEach(async () => {
  place = await startAws()
})
afterEach(() => place.end())

/** As a team made it: one version, the value, and labels as given. */
function seed(ref: string, text: string | undefined, labels: readonly string[] = ['AWSCURRENT']): string {
  const version = randomUUID()
  const secret = place.fake.secrets.get(ref) ?? { versions: new Map(), tags: new Map([['team', 'search']]) }
  place.fake.secrets.set(ref, secret)
  secret.versions.set(version, { text, labels: new Set(labels) })
  return version
}

function labelsOf(ref: string, version: string): readonly string[] {
  return [...(place.fake.secrets.get(ref)?.versions.get(version)?.labels ?? [])].sort()
}

describe('the first key of a secret in AWS', () => {
  it('is refused where there is no secret, with the command that makes one', async () => {
    const store = await openAws(place)
    for (const call of [() => stageNew(store, 'openai'), () => store.check('openai')]) {
      const error = await failure(call())
      expect(error.code).toBe('store_absent')
      expect(error.fix).toContain("aws secretsmanager create-secret --name 'openai' --region eu-central-1")
      expect(error.fix).toContain('createIfAbsent')
    }
  })

  it('is never current before it is promoted, and the placeholder is never shown', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const { version } = await stageNew(store, 'openai')
    expect(labelsOf('openai', version)).toEqual([`KEYTURN_${version}`, 'KEYTURN_PENDING'].sort())
    expect(await store.read('openai')).toBeUndefined()
    expect((await store.describe('openai'))?.versions).toHaveLength(1)
    expect(await store.promote('openai', { to: version, expectCurrent: undefined, fence: 1 })).toEqual({
      kind: 'promoted',
    })
    expect(labelsOf('openai', version)).toEqual(['AWSCURRENT', `KEYTURN_${version}`])
    expect((await store.describe('openai'))?.previous).toBeUndefined()
  })

  it('leaves alone a key that an operator puts there at the same moment', async () => {
    place.fake.secrets.set('openai', { versions: new Map(), tags: new Map() })
    const store = await openAws(place)
    let theirs = ''
    place.fake.before('PutSecretValue', () => {
      theirs = seed('openai', 'their-key')
    })
    const { version } = await stageNew(store, 'openai')
    expect((await store.read('openai'))?.version).toBe(theirs)
    expect(await store.promote('openai', { to: version, expectCurrent: undefined, fence: 1 })).toEqual({
      kind: 'conflict',
      current: theirs,
    })
  })

  it('is made by exactly one of two replicas that start at once', async () => {
    const options = { createIfAbsent: true }
    const stores = [await openAws(place, options), await openAws(place, options)]
    const staged = await Promise.all(stores.map((store) => stageNew(store, 'openai')))
    const outcomes = await Promise.all(
      stores.map((store, index) =>
        store.promote('openai', { to: staged[index]?.version ?? '', expectCurrent: undefined, fence: 1 }),
      ),
    )
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['conflict', 'promoted'])
  })
})

describe('a key that a team keeps in AWS', () => {
  it('is read as it stands, without its last newline, and always by its label', async () => {
    const version = seed('openai', `${canary}\n`)
    const store = await openAws(place)
    const read = await store.read('openai')
    expect([read?.version, read?.secret.reveal(), read?.meta]).toEqual([version, canary, {}])
    for (const { action, body } of place.fake.requests)
      if (action === 'GetSecretValue') expect(body).toMatchObject({ VersionStage: 'AWSCURRENT' })
  })

  it('can be rolled back to after many turns, because it gets a label of its own', async () => {
    const theirs = seed('openai', 'their-key')
    const store = await openAws(place)
    for (let turn = 0; turn < 4; turn += 1) await establish(store, 'openai')
    expect(labelsOf('openai', theirs)).toEqual([`KEYTURN_${theirs}`])
    const expectCurrent = (await store.describe('openai'))?.current
    expect(await store.promote('openai', { to: theirs, expectCurrent, fence: 1 })).toEqual({
      kind: 'promoted',
    })
    expect((await store.read('openai'))?.secret.reveal()).toBe('their-key')
    expect(place.fake.secrets.get('openai')?.tags.get('team')).toBe('search')
  })

  it('keeps the other fields of its JSON document', async () => {
    seed('openai', JSON.stringify({ user: 'ann', OPENAI_API_KEY: 'old', nested: { n: 1 } }))
    const store = await openAws(place, { format: 'json' })
    expect((await store.read('openai'))?.secret.reveal()).toBe('old')
    const { version, secret } = await establish(store, 'openai')
    const text = place.fake.secrets.get('openai')?.versions.get(version)?.text ?? ''
    expect(JSON.parse(text)).toEqual({ user: 'ann', OPENAI_API_KEY: secret.reveal(), nested: { n: 1 } })
  })

  it('is malformed where it is no JSON object, has no text in its field or is binary, and is not written over', async () => {
    const bads = [canary, `["${canary}"]`, `{"OPENAI_API_KEY":["${canary}"]}`, undefined]
    for (const [index, bad] of bads.entries()) {
      seed(`openai-${index}`, bad)
      const store = await openAws(place, { format: 'json' })
      expect((await failure(store.read(`openai-${index}`))).code).toBe('store_malformed')
    }
    const store = await openAws(place, { format: 'json' })
    for (const index of [0, 1, 3])
      expect((await failure(stageNew(store, `openai-${index}`))).code).toBe('store_malformed')
  })

  it('stays readable for one who may only get values, and that is said once', async () => {
    seed('openai', canary)
    place.fake.deny('DescribeSecret')
    const store = await openAws(place)
    for (let round = 0; round < 2; round += 1)
      expect((await store.read('openai'))?.secret.reveal()).toBe(canary)
    expect(place.context.warnings).toEqual([expect.stringContaining('secretsmanager:DescribeSecret')])
  })

  it("is left in AWS's own rotation: AWSPENDING is not touched", async () => {
    seed('openai', 'their-key')
    const theirs = seed('openai', 'their-next', ['AWSPENDING'])
    const store = await openAws(place)
    await establish(store, 'openai')
    expect((await store.describe('openai'))?.pending).toBeUndefined()
    await store.destroy('openai', theirs)
    expect(labelsOf('openai', theirs)).toEqual(['AWSPENDING'])
    const expectCurrent = (await store.describe('openai'))?.current
    expect(await store.promote('openai', { to: theirs, expectCurrent, fence: 1 })).toEqual({ kind: 'gone' })
  })

  it("lets go of AWS's own rotation when it is retired, also where AWS names its labels in another order and one call fails", async () => {
    seed('openai', 'their-key')
    const token = seed('openai', undefined, ['AWSPENDING'])
    Object.assign(place.fake.secrets.get('openai')?.versions.get(token) ?? {}, { isEmpty: true })
    const store = await openAws(place)
    const version = randomUUID()
    await store.stage('openai', { version, token, secret: new Secret(canary), meta: {}, fence: 1 })
    const labels = place.fake.secrets.get('openai')?.versions.get(token)?.labels
    labels?.delete('AWSPENDING')
    labels?.add('AWSPENDING')
    place.fake.fault({ action: 'UpdateSecretVersionStage', kind: 'denied', after: 1 })
    expect((await failure(store.retire('openai', { version, fence: 1 }))).code).toBe('store_denied')
    await store.retire('openai', { version, fence: 1 })
    expect(labelsOf('openai', token)).toEqual([])
  })

  it('is found by ARN as well', async () => {
    seed('team/openai', canary)
    const store = await openAws(place)
    const ref = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:team/openai-a1b2c3'
    expect((await store.read(ref))?.secret.reveal()).toBe(canary)
  })
})

describe('a promotion in AWS', () => {
  it('loses to a person who moves AWSCURRENT at the last moment', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const first = await establish(store, 'openai')
    const second = await stageNew(store, 'openai')
    let theirs = ''
    place.fake.before('UpdateSecretVersionStage', () => {
      place.fake.secrets.get('openai')?.versions.get(first.version)?.labels.delete('AWSCURRENT')
      theirs = seed('openai', 'their-key')
    })
    const promote = { to: second.version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'conflict', current: theirs })
    expect((await store.read('openai'))?.secret.reveal()).toBe('their-key')
    expect(await store.describe('openai')).toMatchObject({ pending: second.version })
  })

  it('goes back where its version was retired while it was under way', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const first = await establish(store, 'openai')
    const { version } = await stageNew(store, 'openai')
    const secret = place.fake.secrets.get('openai')
    // All that a retirement does, at the last moment.
    place.fake.before('UpdateSecretVersionStage', () => {
      const tag = `keyturn:v:${version}`
      secret?.tags.set(tag, `${secret.tags.get(tag)} r=1`)
      secret?.versions.get(version)?.labels.clear()
    })
    const promote = { to: version, expectCurrent: first.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'gone' })
    expect((await store.read('openai'))?.version).toBe(first.version)
    expect(labelsOf('openai', version)).toEqual([])
    expect(await store.promote('openai', promote)).toEqual({ kind: 'gone' })
  })

  it('that wins against a retirement is not undone by it', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const first = await establish(store, 'openai')
    const { version, secret } = await stageNew(store, 'openai')
    const versions = place.fake.secrets.get('openai')?.versions
    place.fake.before('TagResource', () => {
      versions?.get(first.version)?.labels.delete('AWSCURRENT')
      versions?.get(version)?.labels.add('AWSCURRENT')
    })
    expect((await failure(store.retire('openai', { version, fence: 1 }))).code).toBe('store_conflict')
    expect((await store.read('openai'))?.secret.equals(secret)).toBe(true)
    const described = await store.describe('openai')
    expect(described?.versions.find((each) => each.version === version)?.isRetired).toBe(false)
  })

  it('refuses a retired version also where its tags were lost', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const old = await establish(store, 'openai')
    const current = await establish(store, 'openai')
    await store.retire('openai', { version: old.version, fence: 1 })
    expect(labelsOf('openai', old.version)).toEqual([])
    place.fake.secrets.get('openai')?.tags.clear()
    const promote = { to: old.version, expectCurrent: current.version, fence: 1 }
    expect(await store.promote('openai', promote)).toEqual({ kind: 'gone' })
  })

  it('keeps within the tags and labels that AWS allows, over many turns', async () => {
    seed('openai', 'their-key')
    const secret = place.fake.secrets.get('openai')
    for (let count = 0; count < 18; count += 1) secret?.tags.set(`team-${count}`, 'x')
    const store = await openAws(place)
    const meta = { ...someMeta, serviceAccount: 'ä'.repeat(60), project: 'p'.repeat(100) }
    let from = (await store.describe('openai'))?.current ?? ''
    for (let turn = 1; turn <= 40; turn += 1) {
      const version = randomUUID()
      await store.stage('openai', { version, secret: new Secret(`k${turn}`), meta, fence: turn })
      await store.promote('openai', { to: version, expectCurrent: from, fence: turn })
      if (turn % 2 === 0) {
        await store.retire('openai', { version: from, fence: turn })
        await store.destroy('openai', from)
      }
      from = version
      expect((await store.read('openai'))?.meta).toEqual(meta)
    }
    expect(secret?.tags.size).toBeLessThanOrEqual(50)
    expect(secret?.tags.get('team')).toBe('search')
  })

  it('takes only version ids that AWS takes', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const stage = store.stage('openai', { version: 'short', secret: new Secret('x'), meta: {}, fence: 1 })
    expect((await failure(stage)).code).toBe('bad_request')
    expect(await store.read('openai', { version: 'short' })).toBeUndefined()
  })
})

describe('the permissions in AWS', () => {
  it('are proven by calls that change nothing', async () => {
    const version = seed('openai', canary)
    const store = await openAws(place)
    const before = structuredClone(place.fake.secrets)
    const findings = await store.check('openai')
    expect(place.fake.secrets).toEqual(before)
    expect(labelsOf('openai', version)).toEqual(['AWSCURRENT'])
    expect(Object.fromEntries(findings.map(({ permission, state }) => [permission, state]))).toEqual({
      'secretsmanager:DescribeSecret': 'granted',
      'secretsmanager:GetSecretValue': 'granted',
      'secretsmanager:PutSecretValue': 'granted',
      'secretsmanager:UpdateSecretVersionStage': 'granted',
      'secretsmanager:TagResource': 'untested',
      'secretsmanager:UntagResource': 'granted',
    })
  })

  it('are reported missing one by one, each with its name in the fix', async () => {
    seed('openai', canary)
    const store = await openAws(place)
    const actions = [
      'DescribeSecret',
      'GetSecretValue',
      'PutSecretValue',
      'UpdateSecretVersionStage',
      'UntagResource',
    ]
    for (const action of actions) {
      place.fake.deny(action)
      const missing = (await store.check('openai')).filter(({ state }) => state === 'missing')
      expect(missing.map(({ permission }) => permission)).toEqual([`secretsmanager:${action}`])
      expect(missing[0]?.fix).toContain(`secretsmanager:${action} on openai in eu-central-1`)
    }
  })

  it('stay untested where there is no value to prove them with', async () => {
    const store = await openAws(place, { createIfAbsent: true })
    const ofAbsent = await store.check('openai')
    expect(ofAbsent.map(({ state }) => state)).toEqual(['granted', 'untested'])
    place.fake.secrets.set('openai', { versions: new Map(), tags: new Map() })
    const ofEmpty = await store.check('openai')
    expect(ofEmpty.find(({ permission }) => permission.endsWith('PutSecretValue'))?.state).toBe('untested')
  })
})

describe('the set-up for AWS', () => {
  it('says which package to install where it is missing', async () => {
    const load = (): Promise<never> =>
      Promise.reject(Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' }))
    const error = await failure(openAwsSecretsManagerStore({}, place.context, load))
    expect([error.code, error.fix]).toEqual([
      'package_missing',
      'npm install @aws-sdk/client-secrets-manager@3',
    ])
  })

  it('takes region, endpoint and credentials from the environment that it is given', async () => {
    seed('openai', canary)
    const env = {
      ...place.context.env,
      AWS_REGION: 'ap-south-1',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: place.fake.endpoint,
    }
    const store = await openAwsSecretsManagerStore({}, { ...place.context, env })
    place.opened.push(store)
    expect((await store.read('openai'))?.secret.reveal()).toBe(canary)
    expect((await failure(stageNew(store, 'other'))).message).toContain('ap-south-1')
  })
})
