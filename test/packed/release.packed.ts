import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { fastPolicy } from '../system/harness.ts'
import { awsPlace, azurePlace, googlePlace } from '../system/store-places-remote.ts'
import { finished, install, installTool, keyturn, npm, type Packed, pack } from './installed.ts'

const root = join(import.meta.dirname, '..', '..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
}
/** Modules that an app imports. */
const entries = Object.keys(manifest.exports)
  .filter((path) => path !== './package.json')
  .map((path) => `keyturn${path.slice(1)}`)
const peers = Object.entries(manifest.peerDependencies).map(([name, range]) => `${name}@${range}`)

const megabyte = 1_000_000
const packedBytesMax = 3 * megabyte
const tools = { publint: 'publint@0.3.25', attw: '@arethetypeswrong/cli@0.18.5' }

let packed: Packed
/** An app without the SDKs of clouds, and one with them. */
const apps = { alone: '', withSdks: '' }
beforeAll(async () => {
  packed = await pack()
  apps.alone = await install(packed)
  apps.withSdks = await install(packed, peers)
})
afterAll(() => packed?.remove())

describe('the tarball', () => {
  it('holds what is needed and nothing else', async () => {
    const said = JSON.parse(await npm(packed.folder, ['pack', '--dry-run', '--json', packed.tarball])) as
      | readonly Listed[]
      | Readonly<Record<string, Listed>>
    const listed = Object.values(said)[0] ?? expect.fail('npm listed nothing')
    const paths = listed.files.map(({ path }) => path)
    const allowed =
      /^(bin\/[\w-]+\.(js|d\.ts)|dist\/.+\.(js|d\.ts)|docs\/.+\.(md|json|svg)|man\/keyturn\.1|monitoring\/[\w-]+\/[\w.-]+(?<!\.test)\.(json|yml|mjs)|(README|CHANGELOG|SECURITY)\.md|LICENSE|package\.json)$/
    expect(paths.filter((path) => !allowed.test(path))).toEqual([])
    for (const needed of ['bin/keyturn.js', 'dist/index.js', 'dist/index.d.ts', 'man/keyturn.1', 'LICENSE'])
      expect(paths).toContain(needed)
    expect(listed.size).toBeLessThan(packedBytesMax)
  })

  it('is clean for publint', async () => {
    const bin = join(await installTool(packed.folder, tools.publint), 'publint', 'src', 'cli.js')
    expect(await ended([bin, 'run', packed.tarball, '--strict'])).toMatchObject({ code: 0, err: '' })
  })

  // ES modules alone: `require` of them is Node's own, and needs no second set of types.
  it('has types that are not wrong', async () => {
    const modules = await installTool(packed.folder, tools.attw)
    const bin = join(modules, '@arethetypeswrong', 'cli', 'dist', 'index.js')
    const { code, out } = await ended([bin, packed.tarball, '--profile', 'esm-only', '--no-emoji'])
    for (const entry of entries) expect(out).toMatch(new RegExp(`"${entry}" +│ OK \\(ESM\\) +│ OK +│`))
    expect(code).toBe(0)
  })
})

interface Listed {
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

function ended(args: readonly string[], node = process.execPath, cwd = packed.folder) {
  const child = spawn(node, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME: packed.folder, NO_COLOR: '1' },
  })
  return finished(child)
}

const least = /\d+\.\d+/.exec(manifest.engines.node)?.[0] ?? expect.fail('engines names no version')
/** What a store of each cloud needs, and where it stands in for that cloud. */
const clouds = [
  ['aws-secrets-manager', awsPlace],
  ['google-secret-manager', googlePlace],
  ['azure-key-vault', azurePlace],
] as const

describe.each([`${least}.0`, '24'])('on Node %s', (version) => {
  let node = ''
  beforeAll(async () => {
    const os = process.platform === 'win32' ? 'win' : process.platform
    const name = `node-${os}-${process.arch}`
    const modules = await installTool(packed.folder, `${name}@${version}`)
    node = join(modules, name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    const { out } = await ended(['--version'], node)
    expect(out).toMatch(new RegExp(`^v${version.replace('.', '\\.')}`))
  })

  describe.each([
    ['without the SDKs of clouds', 'alone'],
    ['with them', 'withSdks'],
  ] as const)('%s', (_title, which) => {
    let app = ''
    let sandbox: Sandbox
    const closing: (() => Promise<void>)[] = []
    beforeEach(async () => {
      app = apps[which]
      sandbox = await startSandbox()
      closing.push(() => sandbox.close())
    })
    afterEach(async () => {
      for (const close of closing.splice(0).toReversed()) await close()
    })

    it('every module of it can be imported, and required', async () => {
      const lines = entries.flatMap((entry) => [
        `if (Object.keys(await import('${entry}')).length === 0) throw new Error('${entry}')`,
        `if (Object.keys(require('${entry}')).length === 0) throw new Error('${entry}')`,
      ])
      const script = join(app, 'app.mjs')
      const head =
        "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)\n"
      await writeFile(script, `${head}${lines.join('\n')}\nconsole.log('fine')`)
      const { code, out, err } = await ended(['--no-warnings', script], node, app)
      expect({ code, out, err }).toEqual({ code: 0, out: 'fine\n', err: '' })
    })

    it('an app loads nothing of Node and of other packages before it asks for a key', async () => {
      const script = join(app, 'loads.mjs')
      const lines = [
        "import { registerHooks } from 'node:module'",
        'const loaded = []',
        'registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })',
        "await import('keyturn')",
        'console.log(JSON.stringify(loaded))',
      ]
      await writeFile(script, lines.join('\n'))
      const { code, out, err } = await ended(['--no-warnings', script], node, app)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      const loaded = JSON.parse(out) as readonly string[]
      expect(loaded).toContainEqual(expect.stringMatching(/node_modules\/keyturn\/dist\/index\.js$/))
      expect(loaded.filter((url) => !url.includes('/node_modules/keyturn/dist/'))).toEqual([])
    })

    it('an app gets a key that works from its service', async () => {
      const home = await mkdtemp(join(app, 'home '))
      const { url } = await started(['serve', '--sandbox', '--json'], { home })
      const script = join(app, 'asks.mjs')
      const lines = [
        "import { getOpenAICredential } from 'keyturn'",
        'const { apiKey, baseUrl } = await getOpenAICredential()',
        'console.log((await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${apiKey}` } })).status)',
      ]
      await writeFile(script, lines.join('\n'))
      const asking = spawn(node, ['--no-warnings', script], {
        cwd: app,
        env: { KEYTURN_URL: url, KEYTURN_TOKEN_FILE: join(home, 'app.token') },
      })
      expect(await finished(asking)).toMatchObject({ code: 0, out: '200\n' })
    })

    it.runIf(which === 'withSdks').each(clouds)('the service turns a key in %s', async (_kind, openPlace) => {
      const place = await openPlace()
      closing.push(() => place.end())
      const home = await mkdtemp(join(app, 'home '))
      const { baseUrl, project, serviceAccount } = sandbox
      const lines = [
        `home: ${JSON.stringify(join(home, 'state'))}`,
        'listen: 127.0.0.1:0',
        'credentials:',
        '  openai:',
        `    store: ${place.yaml}`,
        `    ref: ${place.ref}`,
        `    issuer: ${JSON.stringify({ kind: 'openai', baseUrl, project, serviceAccount })}`,
        `    policy: ${JSON.stringify(fastPolicy)}`,
      ]
      await writeFile(join(home, 'keyturn.yaml'), lines.join('\n'))
      const env = { OPENAI_ADMIN_KEY: sandbox.adminKey(), ...place.env }
      const { url } = await started(['serve', '--json'], { home, env })
      const tokenFile = join(home, 'state', 'operator.token')
      const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`
      const handOut = async (known?: string) => {
        const answer = await fetch(`${url}/v1/credentials/openai?wait=20`, {
          headers: { authorization, ...(known === undefined ? {} : { 'if-none-match': known }) },
        })
        expect(answer.status).toBe(200)
        const { apiKey } = (await answer.json()) as { readonly apiKey: string }
        return { apiKey, etag: answer.headers.get('etag') ?? expect.fail('no ETag') }
      }
      const first = await handOut()
      const operator = { node, env: { KEYTURN_URL: url, KEYTURN_OPERATOR_TOKEN_FILE: tokenFile } }
      const rotated = await finished(keyturn(app, ['rotate', 'openai'], operator))
      expect(rotated).toMatchObject({ code: 0, err: '' })
      // The next one is waited for; the old one lives on for a while, for those who read the store.
      const second = await handOut(first.etag)
      expect(second.apiKey).toMatch(/^sk-/)
      expect(second.apiKey).not.toBe(first.apiKey)
    })

    async function started(
      args: readonly string[],
      { home, env = {} }: { readonly home: string; readonly env?: Readonly<Record<string, string>> },
    ): Promise<{ readonly url: string }> {
      const at = { KEYTURN_HOME: home, KEYTURN_LISTEN: '127.0.0.1:0' }
      const isSandbox = args.includes('--sandbox')
      const child = keyturn(app, args, { node, cwd: home, env: { ...(isSandbox ? at : {}), ...env } })
      const whole = finished(child)
      closing.push(async () => {
        child.kill('SIGTERM')
        await whole
      })
      return new Promise((resolve, reject) => {
        let said = ''
        child.stdout?.on('data', (chunk: string) => {
          said += chunk
          const url = /"url": ?"([^"]+)"/.exec(said)?.[1]
          if (url !== undefined) resolve({ url })
        })
        void whole.then(({ err }) => reject(new Error(`it ended: ${err}`)))
      })
    }
  })
})
