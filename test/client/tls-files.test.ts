import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ClientOptions } from '../../src/index.ts'
import { makeAuthority } from '../stores/fakes/authority.ts'
import { testKey } from './fake-service.ts'
import { clientOf, errorOf, serviceForTest } from './support.ts'

const servers = makeAuthority('servers')
const clients = makeAuthority('clients')
const shown = (name: string) => clients.issue({ dns: [name] })
const served = {
  ...servers.issue({ ips: [[127, 0, 0, 1]] }),
  ca: clients.cert,
  requestCert: true,
  rejectUnauthorized: false,
}
const paths = { caFile: '/pki/ca.pem', clientCertFile: '/pki/me.pem', clientKeyFile: '/pki/me.key' }

/** Files that can be replaced, and a service that knows whoever shows a certificate of ours. */
async function closed(change: Partial<typeof served> = {}) {
  const service = await serviceForTest({}, { tls: { ...served, ...change } })
  const mine = shown('app.internal')
  const files = new Map([
    ['/pki/ca.pem', servers.cert],
    ['/pki/me.pem', mine.cert],
    ['/pki/me.key', mine.key],
  ])
  const readText = (path: string) => {
    const text = files.get(path)
    return text === undefined ? Promise.reject(new Error('not there')) : Promise.resolve(text)
  }
  const open = (options: ClientOptions = paths) => {
    const { url } = service
    const fetch = () => Promise.reject(new Error('fetch shows no certificate'))
    const platform = { readText, fetch, ...options.platform }
    return clientOf({ url, token: '' }, { ...options, platform })
  }
  const show = ({ cert, key }: { readonly cert: string; readonly key: string }) => {
    files.set('/pki/me.pem', cert)
    files.set('/pki/me.key', key)
  }
  return { service, files, open, show }
}

describe('a client with files for TLS', () => {
  it('is known by its certificate alone in all that it asks, and follows the events', async () => {
    const { service, open } = await closed()
    const client = open()
    expect(await client.getOpenAIKey()).toBe(service.answer().apiKey)
    await service.until(() => service.streams.size === 1)
    const next = testKey()
    service.turn({ apiKey: next })
    await service.until(() => service.hands().length > 2)
    await client.report({ status: 401 })
    expect(await client.getOpenAIKey()).toBe(next)
    await client.end()
    expect(service.seen.at(-1)?.method).toBe('DELETE')
    expect(service.seen.map((one) => one.shown)).toEqual(service.seen.map(() => 'DNS:app.internal'))
  })

  it('finds the files by the variables that commands have, and shows its token as well', async () => {
    const { service, open } = await closed()
    const { caFile, clientCertFile, clientKeyFile } = paths
    const env = {
      KEYTURN_CA_FILE: caFile,
      KEYTURN_CLIENT_CERT_FILE: clientCertFile,
      KEYTURN_CLIENT_KEY_FILE: clientKeyFile,
    }
    await open({ env }).getOpenAIKey()
    await open({ env, token: service.token }).getOpenAIKey()
    await open({ caFile, token: service.token }).getOpenAIKey()
    const asked = service.hands().map((one) => [one.shown, one.headers.authorization?.slice(0, 6)])
    expect(asked).toEqual([
      ['DNS:app.internal', undefined],
      ['DNS:app.internal', 'Bearer'],
      [undefined, 'Bearer'],
    ])
  })

  it('shows the certificate of now, and the one before while the new files do not fit together', async () => {
    const { service, files, open, show } = await closed()
    const client = open()
    await client.getOpenAIKey()
    const reported = async () => {
      await client.report({ status: 401 })
      return service.seen.findLast(({ method }) => method === 'POST')?.shown
    }
    const [second, third] = [shown('second'), shown('third')]
    show(second)
    expect(await reported()).toBe('DNS:second')
    files.set('/pki/me.pem', third.cert)
    expect(await reported()).toBe('DNS:second')
    files.delete('/pki/me.key')
    expect(await reported()).toBe('DNS:second')
    show(third)
    expect(await reported()).toBe('DNS:third')
  })

  it.each([
    ['/pki/ca.pem', undefined, 'The file /pki/ca.pem cannot be read.', 'KEYTURN_CA_FILE'],
    ['/pki/ca.pem', 'nothing', 'There is no certificate in /pki/ca.pem.', 'KEYTURN_CA_FILE'],
    ['/pki/me.key', undefined, 'The file /pki/me.key cannot be read.', 'KEYTURN_CLIENT_KEY_FILE'],
    ['/pki/me.key', shown('other').key, 'The client certificate /pki/me.pem', 'KEYTURN_CLIENT_CERT_FILE'],
    ['/pki/me.pem', 'nothing', 'The client certificate /pki/me.pem', 'KEYTURN_CLIENT_CERT_FILE'],
  ])('names the file that cannot be used: %s', async (path, text, message, variable) => {
    const { service, files, open } = await closed()
    if (text === undefined) files.delete(path)
    else files.set(path, text)
    const error = await errorOf(open().getOpenAIKey())
    expect([error.code, error.message]).toEqual(['config_invalid', expect.stringContaining(message)])
    expect(error.fix).toContain(variable)
    expect(service.seen).toEqual([])
  })

  it('blames files that cannot be read any more where those from before no longer do', async () => {
    const { service, files, open } = await closed()
    const client = open()
    await client.getOpenAIKey()
    files.delete('/pki/me.pem')
    await service.close()
    const error = await errorOf(client.report({ status: 401 }))
    expect(error.message).toContain('The file /pki/me.pem cannot be read.')
  })

  it('says what is missing where the service wants a certificate, or has one that nobody here knows', async () => {
    const strict = await closed({ rejectUnauthorized: true })
    const { caFile } = paths
    // Time stands still, and there is less of it than would be waited for before a second try.
    const still = { now: () => 0, steadyNow: () => 0, after: () => () => undefined }
    const oneTry = { timeoutMs: 100, platform: still }
    const token = strict.service.token
    expect((await errorOf(strict.open({ caFile, token, ...oneTry }).getOpenAIKey())).fix).toContain(
      'KEYTURN_CLIENT_CERT_FILE',
    )
    strict.files.set(caFile, clients.cert)
    expect((await errorOf(strict.open({ ...paths, ...oneTry }).getOpenAIKey())).fix).toContain(
      'KEYTURN_CA_FILE',
    )
  })

  it('trusts nobody else than the authority that is named, whatever the process thinks of certificates', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { service, files, open } = await closed()
    files.set(paths.caFile, clients.cert)
    const still = { now: () => 0, steadyNow: () => 0, after: () => () => undefined }
    const error = await errorOf(open({ ...paths, timeoutMs: 100, platform: still }).getOpenAIKey())
    expect(error.fix).toContain('KEYTURN_CA_FILE')
    expect(service.seen).toEqual([])
  })

  it.each([
    ['an authority', paths],
    ['a token', { tokenFile: '/run/token' }],
  ])('does not wait for %s that a disk never gives for longer than for all else', async (_what, named) => {
    const begun = Promise.withResolvers<void>()
    const readText = () => {
      begun.resolve()
      return new Promise<string>(() => undefined)
    }
    const { open } = await closed()
    const client = open({ ...named, platform: { readText } })
    const failed = errorOf(client.getOpenAIKey())
    await begun.promise
    client.close()
    expect((await failed).code).toBe('stopping')
  })

  it.each([
    ['a certificate without its key', { clientCertFile: '/pki/me.pem' }, 'config_invalid'],
    ['files beside a fetch that would not show them', { ...paths, fetch }, 'bad_request'],
  ])('refuses %s', async (_what, options, code) => {
    const { open } = await closed()
    expect(() => open(options)).toThrow(expect.objectContaining({ code }))
  })
})
