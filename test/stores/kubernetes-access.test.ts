import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openKubernetesStore } from '../../src/stores/kubernetes.ts'
import { establish, failure } from '../conformance/store-suite-support.ts'
import { makeCertificate } from './fakes/certificate.ts'
import { type KubernetesPlace, startKubernetes } from './fakes/kubernetes-place.ts'
import { type ManualClock, manualClock } from './fakes/manual-clock.ts'
import { testContext } from './fakes/system.ts'

let clock: ManualClock
let place: KubernetesPlace

beforeEach(async () => {
  clock = manualClock()
  place = await startKubernetes(clock.system)
})
afterEach(() => place.end())

describe('in a pod', () => {
  it("uses the service account's token, authority and namespace", async () => {
    const token = await place.newToken(true)
    const store = await place.open()
    await establish(store, 'openai')
    expect(new Set(place.fake.requests.map((request) => request.token))).toEqual(new Set([token]))
    expect([...place.fake.secrets.keys()].sort()).toEqual(['apps/openai', 'apps/openai-keyturn'])
  })

  it('reads the token again each minute, and not at each request', async () => {
    const store = await place.open()
    await store.read('openai')
    const second = await place.newToken()
    await store.read('openai')
    expect(place.fake.requests.map((request) => request.token)).not.toContain(second)
    clock.pass(60_000)
    await store.read('openai')
    expect(place.fake.requests.at(-1)?.token).toBe(second)
  })

  it('reads it at once where the old one is refused', async () => {
    const store = await place.open()
    await establish(store, 'openai')
    await place.newToken(true)
    expect(await store.read('openai')).toBeDefined()
    place.fake.tokens.clear()
    const error = await failure(store.read('openai'))
    expect([error.code, error.retryable]).toEqual(['store_denied', false])
  })

  it('trusts no server that its authority did not sign', async () => {
    await writeFile(join(place.folder, 'ca.crt'), makeCertificate('another').cert)
    const store = await place.open({ maxAttempts: 1 })
    const error = await failure(store.read('openai'))
    expect([error.code, error.fix?.includes('ca.crt')]).toEqual(['store_unreachable', true])
    expect(place.fake.requests).toEqual([])
  })

  it('says what is missing where nothing is mounted, or nothing is configured at all', async () => {
    await writeFile(join(place.folder, 'token'), '')
    const store = await place.open({ maxAttempts: 1 })
    const error = await failure(store.read('openai'))
    expect([error.code, error.fix?.includes('automountServiceAccountToken')]).toEqual(['store_denied', true])
    expect((await failure(openKubernetesStore({}, testContext('.')))).code).toBe('config_missing')
  })
})

describe('with a kubeconfig', () => {
  interface Parts {
    readonly cluster?: Readonly<Record<string, unknown>>
    readonly user?: Readonly<Record<string, unknown>>
  }

  /** JSON is YAML too. */
  async function write({ cluster = {}, user = {} }: Parts): Promise<string> {
    const base64 = Buffer.from(place.fake.certificate.cert).toString('base64')
    const config = {
      'current-context': 'main',
      contexts: [
        { name: 'other', context: { cluster: 'main', user: 'main', namespace: 'elsewhere' } },
        { name: 'main', context: { cluster: 'main', user: 'main', namespace: 'apps' } },
      ],
      clusters: [
        {
          name: 'main',
          cluster: { server: place.fake.server, 'certificate-authority-data': base64, ...cluster },
        },
      ],
      users: [{ name: 'main', user }],
    }
    const folder = join(place.folder, 'kube')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'config'), JSON.stringify(config))
    return join(folder, 'config')
  }

  it('uses the current context with a token, and another one where it is named', async () => {
    const token = await place.newToken()
    const kubeconfig = await write({ user: { token } })
    await establish(await place.open({ kubeconfig }), 'openai')
    expect([...place.fake.secrets.keys()]).toContain('apps/openai')
    await (await place.open({ kubeconfig, context: 'other' })).read('openai')
    expect(place.fake.requests.at(-1)?.line).toContain('/namespaces/elsewhere/')
    await (await place.open({ kubeconfig, namespace: 'third' })).read('openai')
    expect(place.fake.requests.at(-1)?.line).toContain('/namespaces/third/')
  })

  it('is found by KUBECONFIG, with files beside it', async () => {
    const KUBECONFIG = await write({
      cluster: { 'certificate-authority-data': undefined, 'certificate-authority': '../ca.crt' },
      user: { tokenFile: '../token' },
    })
    const store = await place.open({}, { ...testContext('.', { KUBECONFIG }), system: clock.system })
    expect(await store.read('openai')).toBeUndefined()
  })

  it('proves who it is by a client certificate', async () => {
    const client = makeCertificate('keyturn')
    const user = {
      'client-certificate-data': Buffer.from(client.cert).toString('base64'),
      'client-key-data': Buffer.from(client.key).toString('base64'),
    }
    const store = await place.open({ kubeconfig: await write({ user }), maxAttempts: 1 })
    expect((await failure(store.read('openai'))).code).toBe('store_denied')
    place.fake.clients.add(client.cert)
    const known = await place.open({ kubeconfig: await write({ user }) })
    await establish(known, 'openai')
  })

  const refusals: readonly (readonly [string, Parts, RegExp])[] = [
    ['a plugin for credentials', { user: { exec: { command: 'aws' } } }, /runs no programs/],
    ['an auth provider', { user: { 'auth-provider': { name: 'gcp' } } }, /runs no programs/],
    [
      'no check of the certificate',
      { cluster: { 'insecure-skip-tls-verify': true } },
      /check of the certificate/,
    ],
    ['a proxy', { cluster: { 'proxy-url': 'http://proxy' } }, /proxy-url/],
    ['a password', { user: { username: 'admin', password: 'x' } }, /password/],
    ['HTTP to elsewhere', { cluster: { server: 'http://kube.example.com' } }, /https:\/\//],
    ['no server', { cluster: { server: '' } }, /https:\/\//],
  ]
  it.each(refusals)('refuses %s, in words', async (_what, parts, says) => {
    const error = await failure(place.open({ kubeconfig: await write(parts) }))
    expect(error.code).toBe('config_invalid')
    expect(`${error.message} ${error.fix}`).toMatch(says)
  })

  it('refuses what is no kubeconfig, without quoting it', async () => {
    const path = join(place.folder, 'broken')
    await writeFile(path, 'token: [canary-value-never-shown\n')
    expect((await failure(place.open({ kubeconfig: path }))).code).toBe('config_invalid')
    const whole = await write({ user: { token: 'x' } })
    expect((await failure(place.open({ kubeconfig: whole, context: 'nobody' }))).code).toBe('config_invalid')
    expect((await failure(place.open({ kubeconfig: join(place.folder, 'nowhere') }))).code).toBe(
      'config_missing',
    )
  })
})
