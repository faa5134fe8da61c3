import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { limits } from '../../src/client/limits.ts'
import { makeAuthority } from '../stores/fakes/authority.ts'
import { type FakeService } from './fake-service.ts'
import { serviceForTest } from './support.ts'

const entry = new URL('../../src/index.ts', import.meta.url).href
const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Put before a script: in it the service is followed an hour after the first key. A tenth of a second, as it is, may be over on a
 * busy machine before a script ends that does nothing more.
 */
const brief = `
  const start = globalThis.setTimeout
  globalThis.setTimeout = (call, ms) => start(call, ms === ${limits.followAfterMs} ? 3_600_000 : ms);`

/** Runs a script with the client in a process of its own and resolves when that has ended by itself. */
function run(
  script: string,
  service: FakeService,
  more: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; output: string }> {
  const env = { PATH: process.env['PATH'], KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token, ...more }
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, env })
  let output = ''
  child.stdout.on('data', (part: Buffer) => (output += part.toString()))
  child.stderr.on('data', (part: Buffer) => (output += part.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

describe('a process that used the client', () => {
  it('ends by itself right after it has its key', async () => {
    const service = await serviceForTest()
    const script = `import { getOpenAIKey } from '${entry}'; process.stdout.write(await getOpenAIKey())`
    expect(await run(script, service)).toEqual({ code: 0, output: service.answer().apiKey })
  })

  it('ends by itself while its event stream is open', async () => {
    const service = await serviceForTest()
    let sawStream = false
    const script = `
      import { getOpenAIKey } from '${entry}'
      await getOpenAIKey()
      process.stdin.once('data', () => process.stdin.destroy())
      process.stdin.resume()`
    const env = { PATH: process.env['PATH'], KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token }
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, env })
    const closed = new Promise<number | null>((resolve) => {
      child.once('close', resolve)
    })
    await service.until(() => service.streams.size === 1 && service.hands().length === 2)
    sawStream = service.streams.size === 1
    child.stdin.write('go\n')
    expect(await closed).toBe(0)
    expect(sawStream).toBe(true)
  })

  it('ends by itself while a question in the background is not answered', async () => {
    const service = await serviceForTest({}, { hasStream: false })
    service.override = (request) => service.hands().indexOf(request) > 0 || request.path.endsWith('/events')
    const script = `
      import { createClient } from '${entry}'
      const client = createClient()
      await client.getOpenAIKey()
      process.stdin.once('data', () => process.stdin.destroy())
      process.stdin.resume()`
    const env = { PATH: process.env['PATH'], KEYTURN_URL: service.url, KEYTURN_TOKEN: service.token }
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, env })
    const closed = new Promise<number | null>((resolve) => {
      child.once('close', resolve)
    })
    await service.request((request) => request.path.endsWith('/events'))
    child.stdin.write('go\n')
    expect(await closed).toBe(0)
  })

  it('loads no package and nothing else of Keyturn when the client is imported, and does nothing', async () => {
    const service = await serviceForTest()
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
      await import('${entry}')
      process.stdout.write(JSON.stringify(loaded.filter((url) => !/src\\/(client\\/|api\\/types|index)/.test(url))))`
    expect(await run(script, service)).toEqual({ code: 0, output: '[]' })
    expect(service.seen).toHaveLength(0)
  })
})

describe('a process that ends by itself', () => {
  const methods = ({ seen }: FakeService) => seen.map(({ method }) => method).join(' ')

  it('says that it uses the key no more, whatever it ends with', async () => {
    const service = await serviceForTest()
    const script = `${brief}
      import { getOpenAIKey } from '${entry}'
      await Promise.all([getOpenAIKey(), getOpenAIKey('openai-prod')])
      process.exitCode = 3`
    expect(await run(script, service)).toEqual({ code: 3, output: '' })
    const ends = service.seen.filter(({ method }) => method === 'DELETE')
    expect(ends.map(({ path }) => path.split('/').slice(3, 5).join('/')).toSorted()).toEqual([
      'openai-prod/leases',
      'openai/leases',
    ])
    const instances = (seen: FakeService['seen']) =>
      new Set(seen.map(({ headers }) => headers['keyturn-instance']))
    expect(instances(ends)).toEqual(instances(service.hands()))
  })

  it('does so with a client certificate too', async () => {
    const [servers, clients] = [makeAuthority('servers'), makeAuthority('clients')]
    const own = servers.issue({ ips: [[127, 0, 0, 1]] })
    const service = await serviceForTest({}, { tls: { ...own, ca: clients.cert, requestCert: true } })
    const folder = mkdtempSync(join(tmpdir(), 'keyturn-exit-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const { cert, key } = clients.issue({ dns: ['app.internal'] })
    const place = (name: string, text: string) => {
      const path = join(folder, name)
      writeFileSync(path, text, { mode: 0o600 })
      return path
    }
    const env = {
      KEYTURN_TOKEN: '',
      KEYTURN_CA_FILE: place('ca.pem', servers.cert),
      KEYTURN_CLIENT_CERT_FILE: place('cert.pem', cert),
      KEYTURN_CLIENT_KEY_FILE: place('key.pem', key),
    }
    const script = `${brief} import { getOpenAIKey } from '${entry}'; process.stdout.write(await getOpenAIKey())`
    expect(await run(script, service, env)).toEqual({ code: 0, output: service.answer().apiKey })
    expect(methods(service)).toBe('GET DELETE')
  })

  it('takes the key up again for who still asks for it, and ends that too', async () => {
    const service = await serviceForTest()
    const script = `${brief}
      import { getOpenAIKey } from '${entry}'
      await getOpenAIKey()
      process.once('beforeExit', async () => process.stdout.write(await getOpenAIKey()))`
    expect(await run(script, service)).toEqual({ code: 0, output: service.answer().apiKey })
    expect(methods(service)).toBe('GET DELETE GET DELETE')
  })

  it('says nothing where it never had a key, nor in a function, which goes on after that', async () => {
    const service = await serviceForTest()
    const ask = `${brief} import { getOpenAIKey } from '${entry}'; await getOpenAIKey()`
    const silent = `${brief}
      import { getOpenAIKey, withKeyRefresh } from '${entry}'
      await withKeyRefresh(async () => new Response())('http://127.0.0.1:9/')`
    const runs = [run(ask, service, { AWS_LAMBDA_FUNCTION_NAME: 'ask' }), run(silent, service)]
    expect(await Promise.all(runs)).toEqual([
      { code: 0, output: '' },
      { code: 0, output: '' },
    ])
    expect(methods(service)).toBe('GET')
  })

  it('says it by hand before process.exit, after which there is a key for who asks again', async () => {
    const service = await serviceForTest()
    const script = `${brief}
      import { endDefaultClients, getOpenAIKey, openAIOptions } from '${entry}'
      const { apiKey } = await openAIOptions()
      await Promise.all([endDefaultClients(), endDefaultClients()])
      process.stdout.write(await apiKey().catch(({ code }) => code) + ' ' + await getOpenAIKey())
      await endDefaultClients()
      process.exit(4)`
    expect(await run(script, service)).toEqual({ code: 4, output: `stopping ${service.answer().apiKey}` })
    expect(methods(service)).toBe('GET DELETE GET DELETE')
  })
})
