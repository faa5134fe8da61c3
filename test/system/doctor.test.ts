import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { DoctorReport } from '../../src/doctor/report.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/index.ts'
import { Canaries } from './canaries.ts'
import { type CliOptions, runCli } from './cli.ts'
import { layRig, untilReady } from './harness.ts'
import { spawnService } from './process.ts'

/** Far more than it takes, since a busy machine needs seconds to start a process; far less than for ever. */
const endsWithinMs = 30_000

/** The real command, as a process of its own, in projects on the disk. */
const canaries = new Canaries()
const outputs = new Map<string, string>()
let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ random: canaries.random, knobs: { revocationMs: 0, activationMs: 0 } })
})
afterAll(async () => {
  await sandbox.close()
})

function project(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-doctor-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text, { mode: 0o600 })
  }
  return folder
}

async function doctor(
  folder: string,
  args: readonly string[],
  options: Pick<CliOptions, 'env' | 'stdin'> = {},
) {
  const startedAt = performance.now()
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, ...options.env }
  const run = await runCli(
    { env, home: folder },
    ['doctor', ...args],
    options.stdin === undefined ? {} : { stdin: options.stdin },
  )
  outputs.set(`${outputs.size} ${args.join(' ')}`, run.out + run.err)
  return { ...run, tookMs: performance.now() - startedAt }
}

const ofSandbox = (): Record<string, string> => ({
  OPENAI_API_KEY: sandbox.createServiceAccountKey().value,
  OPENAI_BASE_URL: sandbox.baseUrl,
})

function codesOf(out: string): readonly string[] {
  return (JSON.parse(out) as DoctorReport).findings.map(({ code }) => code)
}

const source = [
  "import OpenAI from 'openai'",
  'const client = new OpenAI()',
  "await client.responses.create({ model: 'gpt-5', input: 'hello' })",
  '',
].join('\n')
const app = {
  'package.json': '{"name":"app","type":"module","dependencies":{"openai":"^6.0.0"}}',
  'app.js': source,
}

describe('keyturn doctor as a process', () => {
  it('prints one line in a healthy project, and says whom the key is for', async () => {
    const { code, out, err, tookMs } = await doctor(project(app), [], { env: ofSandbox() })
    expect({ code, err }, out).toEqual({ code: 0, err: '' })
    expect(out.trimEnd().split('\n')).toHaveLength(1)
    expect(out).toMatch(
      /^healthy, key [0-9a-f]{12} \(service account key\) from OPENAI_API_KEY, organization org-/,
    )
    expect(tookMs).toBeLessThan(endsWithinMs)
  })

  it('needs no network with --offline', async () => {
    const env = { OPENAI_API_KEY: sandbox.createServiceAccountKey().value }
    const before = sandbox.requests().length
    const { code, out } = await doctor(project(app), ['--offline', '--json'], { env })
    expect([code, codesOf(out)], out).toEqual([0, []])
    expect(sandbox.requests()).toHaveLength(before)
  })

  it('names what is wrong: a key that was revoked, and nothing else', async () => {
    const key = sandbox.createServiceAccountKey()
    sandbox.deleteKey(key.id)
    const env = { OPENAI_API_KEY: key.value, OPENAI_BASE_URL: sandbox.baseUrl }
    const { code, out } = await doctor(project(app), ['--json'], { env })
    expect([code, codesOf(out)], out).toEqual([3, ['key_unknown']])
  })

  it('looks at a key that is nowhere yet, from standard input', async () => {
    const env = { OPENAI_BASE_URL: sandbox.baseUrl }
    const good = await doctor(project({}), ['--key-file', '-'], {
      env,
      stdin: `${sandbox.createServiceAccountKey().value}\n`,
    })
    expect([good.code, good.out]).toEqual([0, expect.stringMatching(/^healthy, key .* from the given key/)])
  })

  it('says of a file, and of a folder that it may not look into, that they are no projects', async () => {
    const folder = project({ 'app.js': '', 'closed/app.js': '' })
    const file = await doctor(folder, [join(folder, 'app.js'), '--offline'])
    expect([file.code, file.err]).toEqual([2, expect.stringContaining('is a file, and a folder is needed')])
    if (process.getuid?.() === 0) return // may look into everything
    chmodSync(join(folder, 'closed'), 0o000)
    onTestFinished(() => chmodSync(join(folder, 'closed'), 0o700))
    const closed = await doctor(folder, [join(folder, 'closed'), '--offline'])
    expect([closed.code, closed.err]).toEqual([2, expect.stringContaining('may not look into')])
  })

  it('says on a dead network which step fails, and ends with 1', async () => {
    const { code, out, tookMs } = await doctor(project(app), ['--json'], {
      env: { ...ofSandbox(), OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' },
    })
    expect([code, codesOf(out)], out).toEqual([1, ['connect_failed']])
    expect((JSON.parse(out) as DoctorReport).steps.at(-1)?.name).toBeDefined()
    expect(tookMs).toBeLessThan(endsWithinMs)
  })

  it('gives up on what takes the connection and never answers', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const address = silent.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const env = { ...ofSandbox(), OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` }
    const { code, out, tookMs } = await doctor(project(app), ['--json', '--timeout', '500ms'], { env })
    expect([code, codesOf(out)], out).toEqual([1, ['timed_out']])
    expect(tookMs).toBeLessThan(endsWithinMs)
  })

  it('proves the key of every credential before a deploy, and annotates what is wrong with the configuration', async () => {
    const lines = (store: string): string =>
      [
        'credentials:',
        '  good:',
        `    ${store}: { kind: env }`,
        '    ref: GOOD_KEY',
        `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
        '  dead:',
        '    store: { kind: env }',
        '    ref: DEAD_KEY',
        `    issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" }`,
        '',
      ].join('\n')
    const dead = sandbox.createServiceAccountKey()
    sandbox.deleteKey(dead.id)
    const env = { GOOD_KEY: sandbox.createServiceAccountKey().value, DEAD_KEY: dead.value }
    const folder = project({ 'keyturn.yaml': lines('store') })
    const { code, out } = await doctor(folder, ['--ci', '--json'], { env })
    const findings = (JSON.parse(out) as DoctorReport).findings.map(({ code: name, at }) => [name, at])
    expect([code, findings], out).toEqual([3, [['key_unknown', 'dead in env']]])
    const summary = join(folder, 'summary.md')
    const wrong = await doctor(project({ 'keyturn.yaml': lines('stor') }), ['--ci'], {
      env: { ...env, GITHUB_STEP_SUMMARY: summary },
    })
    expect(wrong.code).toBe(3)
    expect(wrong.err).toMatch(/^::error file=keyturn\.yaml,line=3,col=5,title=config_invalid/m)
    expect(readFileSync(summary, 'utf8')).toContain('`config_invalid`')
  })

  it('compares with a container and a deployment, whose programs it finds on the path', async () => {
    const key = sandbox.createServiceAccountKey().value
    const folder = project({
      'bin/docker': `#!/bin/sh\necho "$@" >&2\nprintf 'OPENAI_API_KEY=%s\\n' '${key}'\n`,
      'bin/kubectl': '#!/bin/sh\necho "no such deployment" >&2\nexit 1\n',
    })
    for (const name of ['docker', 'kubectl']) chmodSync(join(folder, 'bin', name), 0o755)
    const looked = join(folder, 'app')
    mkdirSync(looked)
    const env = { ...ofSandbox(), PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}` }
    const { code, out } = await doctor(
      looked,
      ['--offline', '--compare', 'docker:web', '--compare', 'k8s:shop/web'],
      { env },
    )
    expect(code, out).toBe(1)
    expect(out).toMatch(/^docker:web: not the same key$/m)
    expect(out).toMatch(/kubectl could not look into k8s:shop\/web: it ended with 1: no such deployment/)
    const same = await doctor(looked, ['--offline', '--compare', 'docker:web'], {
      env: { ...env, OPENAI_API_KEY: key },
    })
    expect([same.code, same.out.split('\n')[0]]).toEqual([0, 'docker:web: the same key'])
  })

  it('writes a bundle that only this user can read, and no SARIF without its rules', async () => {
    const folder = project(app)
    const file = join(folder, 'bundle.json')
    const env = { ...ofSandbox(), OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }
    const { code, out } = await doctor(folder, ['--bundle', file, '--sarif'], { env })
    expect(code).toBe(1)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    outputs.set('bundle', readFileSync(file, 'utf8'))
    expect(JSON.parse(out)).toMatchObject({ runs: [{ results: [{ ruleId: 'connect_failed' }] }] })
    expect((await doctor(folder, ['--bundle', file, '--offline'], { env })).code).toBe(1)
  })

  it('hears from a running service what it knows of its credential, and tells one that is named and away', async () => {
    const home = mkdtempSync(join(tmpdir(), 'keyturn-doctor-home-'))
    onTestFinished(() => rmSync(home, { recursive: true, force: true }))
    const rig = await layRig(sandbox, home)
    const service = await spawnService(rig)
    await untilReady(rig)
    const run = (args: readonly string[]) => doctor(home, args, { env: rig.env })
    const healthy = await run(['--json', '--config', join(home, 'keyturn.yaml')])
    const report = JSON.parse(healthy.out) as DoctorReport
    expect([healthy.code, codesOf(healthy.out)], healthy.out).toEqual([0, []])
    expect(report.credentials).toMatchObject([{ name: 'openai', stage: 'current', verdict: 'valid' }])
    await service.kill()
    const away = await doctor(home, ['--json'], { env: { ...rig.env, KEYTURN_URL: rig.url } })
    expect([away.code, codesOf(away.out)], away.out).toEqual([3, ['service_unreachable']])
  })

  it('waits for nothing that a stranger put into a folder, reads nothing outside of it, and runs nothing', async () => {
    const outside = project({ '.env': `OPENAI_API_KEY=${sandbox.createServiceAccountKey().value}\n` })
    const folder = project({ ...app, 'evil.js': "require('fs').writeFileSync('ran', '')\n" })
    const pipes = ['keyturn.yaml', '.env', 'compose.yaml', 'main.py', 'Dockerfile', '.gitignore']
    for (const name of pipes) execFileSync('mkfifo', [join(folder, name)])
    const links = [
      ['/dev/zero', 'package.yaml'],
      ['/dev/zero', 'requirements.txt'],
      [join(outside, '.env'), '.env.local'],
      [outside, 'config'],
      ['.', 'round'],
      ['/etc', '.github'],
    ] as const
    for (const [to, name] of links) symlinkSync(to, join(folder, name))
    execFileSync('git', ['init', '-q', folder])
    execFileSync('git', ['-C', folder, 'config', 'core.fsmonitor', join(folder, 'evil.js')])
    const { code, out, err, tookMs } = await doctor(folder, ['--json', '--offline'])
    expect([code, codesOf(out)], out + err).toEqual([3, ['config_invalid']])
    expect(tookMs).toBeLessThan(endsWithinMs)
    expect(readdirSync(folder)).not.toContain('ran')
    const status = await runCli({ env: { PATH: process.env['PATH'] ?? '', HOME: folder }, home: folder }, [
      'status',
    ])
    expect([status.code, status.err]).toEqual([
      1,
      expect.stringContaining('the file is there and cannot be read'),
    ])
  })

  it('has shown no piece of any key in all of this', () => {
    expect(outputs.size).toBeGreaterThan(10)
    expect(canaries.count).toBeGreaterThan(10)
    expect(canaries.search(outputs)).toEqual([])
  })
})
