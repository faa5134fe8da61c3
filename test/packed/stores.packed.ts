import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { startConsulFake } from '../stores/fakes/consul-fake.ts'
import { startKubernetesFake } from '../stores/fakes/kubernetes-fake.ts'
import { startVaultFake } from '../stores/fakes/vault-fake.ts'
import { finished, type Installed, installPacked, keyturn, npm } from './installed.ts'

const root = join(import.meta.dirname, '..', '..')
let installed: Installed
beforeAll(async () => {
  installed = await installPacked()
})
afterAll(() => installed?.remove())

const peers = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly peerDependencies: Readonly<Record<string, string>>
  }
).peerDependencies

describe('keyturn installed alone', () => {
  it('is complete, and brings no SDK of a cloud', async () => {
    const { problems = [] } = JSON.parse(await npm(installed.app, ['ls', '--all', '--json'])) as {
      readonly problems?: readonly string[]
    }
    expect(problems).toEqual([])
    expect(Object.keys(peers)).not.toEqual([])
    for (const name of Object.keys(peers))
      expect(existsSync(join(installed.app, 'node_modules', name)), name).toBe(false)
  })

  it.each([
    ['keyturn', 'getOpenAIKey, openAIOptions, createClient'],
    ['keyturn/sandbox', 'startSandbox'],
    ['keyturn/store', 'slotStore, Secret, KeyturnError'],
    ['keyturn/hooks/aws', 'handler, createRotationHandler'],
  ])('gives an app %s, with its types', async (name, exports) => {
    const script = join(installed.app, 'app.mjs')
    const lines = [
      `import { ${exports} } from '${name}'`,
      `for (const each of [${exports}]) if (typeof each !== 'function') throw new Error('missing')`,
      `console.log('fine')`,
    ]
    await writeFile(script, lines.join('\n'))
    const { code, out, err } = await finished(spawn(process.execPath, [script], { cwd: installed.app }))
    expect({ code, out, err }).toEqual({ code: 0, out: 'fine\n', err: '' })
    const manifest = JSON.parse(
      await readFile(join(installed.app, 'node_modules', 'keyturn', 'package.json'), 'utf8'),
    ) as { readonly exports: Readonly<Record<string, { readonly types?: string }>> }
    const { types = '' } = manifest.exports[name === 'keyturn' ? '.' : name.replace('keyturn', '.')] ?? {}
    expect(existsSync(join(installed.app, 'node_modules', 'keyturn', types)), types).toBe(true)
  })
})

interface Prepared {
  readonly store: Readonly<Record<string, unknown>>
  readonly ref?: string
  readonly env?: Readonly<Record<string, string>>
  /** Where the store is only read: the key that is there already. */
  readonly isReadOnly?: boolean
}

describe('its service', () => {
  let sandbox: Sandbox
  let home = ''
  const closing: (() => Promise<void>)[] = []
  beforeEach(async () => {
    sandbox = await startSandbox()
    closing.push(() => sandbox.close())
    home = await mkdtemp(join(installed.app, 'home '))
  })
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })

  const stores: Readonly<Record<string, () => Promise<Prepared>>> = {
    local: async () => ({ store: { kind: 'local' } }),
    env: async () => ({
      store: { kind: 'env' },
      ref: 'A_VARIABLE',
      env: { A_VARIABLE: sandbox.createServiceAccountKey().value },
      isReadOnly: true,
    }),
    async file() {
      await writeFile(join(home, 'the key'), `${sandbox.createServiceAccountKey().value}\n`, { mode: 0o600 })
      return { store: { kind: 'file' }, ref: 'the key', isReadOnly: true }
    },
    async vault() {
      const fake = await startVaultFake()
      closing.push(() => fake.close())
      return { store: { kind: 'vault', address: fake.address }, env: { VAULT_TOKEN: fake.issueToken() } }
    },
    async kubernetes() {
      const fake = await startKubernetesFake()
      closing.push(() => fake.close())
      const token = ['a', 'token', 'of', 'kubernetes'].join('-')
      fake.tokens.add(token)
      const authority = Buffer.from(fake.certificate.cert).toString('base64')
      const kubeconfig = {
        'current-context': 'a',
        contexts: [{ name: 'a', context: { cluster: 'a', user: 'a', namespace: 'apps' } }],
        clusters: [{ name: 'a', cluster: { server: fake.server, 'certificate-authority-data': authority } }],
        users: [{ name: 'a', user: { token } }],
      }
      await writeFile(join(home, 'kubeconfig'), JSON.stringify(kubeconfig), { mode: 0o600 })
      return { store: { kind: 'kubernetes', kubeconfig: 'kubeconfig' } }
    },
    async 'module (of docs/own-store.md)'() {
      const fake = await startConsulFake()
      closing.push(() => fake.close())
      const page = await readFile(join(root, 'docs', 'own-store.md'), 'utf8')
      const code = /^```ts\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
      await writeFile(join(home, 'consul-store.ts'), code, { mode: 0o644 })
      const store = { kind: 'module', path: './consul-store.ts', options: { address: fake.address } }
      return { store, ref: 'team/openai', env: { CONSUL_HTTP_TOKEN: fake.token } }
    },
  }

  async function serve({ store, ref, env, isReadOnly = false }: Prepared, args: readonly string[] = []) {
    const { baseUrl, project, serviceAccount } = sandbox
    const issuer = isReadOnly
      ? { kind: 'manual', baseUrl }
      : { kind: 'openai', baseUrl, project, serviceAccount }
    const openai = {
      store,
      issuer,
      ...(ref === undefined ? {} : { ref }),
      policy: { provingSettle: '100ms' },
    }
    const config = { home: './state', listen: '127.0.0.1:0', credentials: { openai } }
    await writeFile(join(home, 'keyturn.yaml'), JSON.stringify(config))
    return keyturn(installed.app, ['serve', ...args], {
      cwd: home,
      env: { OPENAI_ADMIN_KEY: sandbox.adminKey(), ...env },
    })
  }

  it.each(Object.keys(stores))('hands out a verified key from the store %s', async (kind) => {
    const child = await serve((await stores[kind]?.()) ?? expect.fail(kind), ['--json'])
    const ended = finished(child)
    closing.push(async () => {
      child.kill('SIGTERM')
      await ended
    })
    const url = await new Promise<string>((resolve, reject) => {
      let said = ''
      child.stdout?.on('data', (chunk: string) => {
        said += chunk
        const found = /"url": "([^"]+)"/.exec(said)?.[1]
        if (found !== undefined) resolve(found)
      })
      void ended.then(({ err }) => reject(new Error(`it ended: ${err}`)))
    })
    const token = (await readFile(join(home, 'state', 'operator.token'), 'utf8')).trim()
    const answer = await fetch(`${url}/v1/credentials/openai?wait=20`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(answer.status).toBe(200)
    const { apiKey } = (await answer.json()) as { readonly apiKey: string }
    const models = await fetch(`${sandbox.baseUrl}/models`, {
      headers: { authorization: `Bearer ${apiKey}` },
    })
    expect(models.status).toBe(200)
  })

  it.each([
    ['aws-secrets-manager', { region: 'eu-central-1' }],
    ['google-secret-manager', { project: 'a-project' }],
    ['azure-key-vault', { vault: 'https://a-vault.vault.azure.net' }],
  ])('says how to install what the store %s needs, and ends', async (kind, options) => {
    const { code, out, err } = await finished(await serve({ store: { kind, ...options } }))
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).not.toMatch(/^\s+at |node:internal/m)
    const commands = [...err.matchAll(/npm install (.+)$/gm)].map(([, packages = '']) =>
      packages.trim().split(' '),
    )
    expect(commands).toHaveLength(1)
    const named = (commands[0] ?? []).map((each) => /^(@?[^@]+)@(\d+)$/.exec(each) ?? expect.fail(each))
    expect(named.length).toBeGreaterThan(0)
    for (const [, name = '', major = ''] of named)
      expect(peers[name]).toMatch(new RegExp(`^\\^${major}(\\.|$)`))
  })
})
