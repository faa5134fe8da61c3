import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { runCli } from './cli.ts'
import { handOut } from './harness.ts'
import { type Keyed, keyedService, startCli } from './keyed.ts'

const examples = fileURLToPath(new URL('../../examples/any-language', import.meta.url))
const answered = /^answered: \S/m

interface Ran {
  readonly code: number | null
  readonly text: string
}

function run(
  command: readonly [string, ...string[]],
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly cwd: string },
): Promise<Ran> {
  const [program, ...args] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, text }))
  })
}

/** Runs it by exec, as the README says. */
async function byExec(
  keyed: Keyed,
  cwd: string,
  command: readonly string[],
  more: Record<string, string> = {},
) {
  const env = { ...keyed.env(), ...more }
  const { code, out, err } = await runCli(keyed.rig, ['exec', '--', ...command], { env, cwd })
  return { code, text: out + err }
}

/** What a program is given that goes through the local endpoint: its address, and the token in place of a key. */
async function throughProxy(keyed: Keyed): Promise<Record<string, string>> {
  const args = ['proxy', '--listen', '127.0.0.1:0', '--upstream', 'service']
  const proxy = startCli(args, { env: keyed.env(), cwd: keyed.folder })
  const line = await proxy.seen('answers at')
  const url = / at (\S+)/.exec(line)?.[1] ?? ''
  const { PATH = '', KEYTURN_TOKEN = '' } = keyed.env()
  return { PATH, HOME: keyed.folder, OPENAI_BASE_URL: url, OPENAI_API_KEY: KEYTURN_TOKEN }
}

const worked = { code: 0, text: expect.stringMatching(answered) }

describe('Python and LangChain', () => {
  let folder = ''
  let python = ''
  let trouble = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keyturn-python-'))
    const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' })
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      'openai',
      'langchain-openai',
    ]
    python = join(folder, 'bin', 'python')
    if (made.status !== 0) trouble = 'python3 with venv is not installed on this machine'
    else if (spawnSync(python, pip, { timeout: 150_000 }).status !== 0)
      trouble = 'the packages openai and langchain-openai cannot be had here'
  }, 200_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const needs = ({ skip }: TestContext): void => {
    if (trouble !== '') skip(trouble)
  }
  const at = (name: string) => join(examples, name)

  it('run by exec, from a file, over HTTP and through the local endpoint', async (context) => {
    needs(context)
    const keyed = await keyedService()
    const cwd = keyed.folder
    expect(await byExec(keyed, cwd, [python, at('python/ask.py')])).toEqual(worked)
    expect(await byExec(keyed, cwd, [python, at('langchain/ask.py')])).toEqual(worked)

    const file = join(keyed.folder, 'openai.json')
    const args = ['file', '--out', file, '--format', 'json', '--once']
    expect((await runCli(keyed.rig, args, { env: keyed.env(), cwd })).code).toBe(0)
    const { PATH = '', KEYTURN_URL = '', KEYTURN_TOKEN = '' } = keyed.env()
    const fromFile = { PATH, HOME: cwd, OPENAI_KEY_FILE: file }
    expect(await run([python, at('python/from_file.py')], { env: fromFile, cwd })).toEqual(worked)

    const tokenFile = join(keyed.folder, 'app.token')
    writeFileSync(tokenFile, KEYTURN_TOKEN, { mode: 0o600 })
    const fromService = { PATH, HOME: cwd, KEYTURN_URL, KEYTURN_TOKEN_FILE: tokenFile }
    expect(await run([python, at('python/from_service.py')], { env: fromService, cwd })).toEqual(worked)

    const env = await throughProxy(keyed)
    expect(await run([python, at('python/ask.py')], { env, cwd })).toEqual(worked)
    expect(await run([python, at('langchain/ask.py')], { env, cwd })).toEqual(worked)
  }, 120_000)
})

describe('Go', () => {
  it('runs by exec, from a file and through the local endpoint', async ({ skip }) => {
    if (spawnSync('go', ['version']).status !== 0) skip('go is not installed on this machine')
    const keyed = await keyedService()
    const cwd = join(keyed.folder, 'go')
    cpSync(join(examples, 'go'), cwd, { recursive: true })
    const program = join(cwd, 'ask')
    // What was compiled before counts: the standard library alone takes a minute.
    const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' }
    const built = await run(['go', 'build', '-o', program, '.'], { env, cwd })
    expect(built).toEqual({ code: 0, text: '' })
    const { PATH = '' } = keyed.env()
    expect(await byExec(keyed, cwd, [program])).toEqual(worked)

    const file = join(keyed.folder, 'openai.key')
    const written = await runCli(keyed.rig, ['file', '--out', file, '--once'], { env: keyed.env(), cwd })
    expect(written.code).toBe(0)
    const { body } = await handOut(keyed.rig)
    const fromFile = { PATH, HOME: cwd, OPENAI_KEY_FILE: file, OPENAI_BASE_URL: body.baseUrl }
    expect(await run([program], { env: fromFile, cwd })).toEqual(worked)
    expect(await run([program], { env: await throughProxy(keyed), cwd })).toEqual(worked)
  }, 120_000)
})

describe('curl', () => {
  it('runs by exec, from a .env and through the local endpoint', async ({ skip }) => {
    if (spawnSync('curl', ['--version']).status !== 0) skip('curl is not installed on this machine')
    const keyed = await keyedService()
    const cwd = keyed.folder
    const script = join(examples, 'curl', 'ask.sh')
    expect(await byExec(keyed, cwd, ['sh', script])).toEqual(worked)
    const args = ['file', '--out', join(cwd, '.env'), '--format', 'env', '--once']
    expect((await runCli(keyed.rig, args, { env: keyed.env(), cwd })).code).toBe(0)
    const { PATH = '' } = keyed.env()
    const sourcing = ['sh', '-c', `set -a; . ./.env; sh '${script}'`] as const
    expect(await run(sourcing, { env: { PATH, HOME: cwd }, cwd })).toEqual(worked)
    expect(await run(['sh', script], { env: await throughProxy(keyed), cwd })).toEqual(worked)
  })
})
