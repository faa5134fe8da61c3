import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { startSandbox } from '../../src/sandbox/index.ts'

const repository = resolve(import.meta.dirname, '../..')
const question = { question: 'Say hello.' }

/** What a platform does with each function, in the process that it keeps: one line in, one line out. */
const platforms: Readonly<Record<string, string>> = {
  'aws-lambda': `
    const { handler } = await import('./aws-lambda/index.mjs')
    const event = { version: '2.0', rawPath: '/', headers: {}, requestContext: { http: { method: 'POST' } }, isBase64Encoded: false }
    return async (body) => JSON.parse((await handler({ ...event, body: JSON.stringify(body) }, { awsRequestId: 'r-1' })).body)`,
  'google-cloud-functions': `
    const { ask } = await import('./google-cloud-functions/index.mjs')
    return (body) => new Promise((resolve, reject) => {
      const response = { status: () => response, set: () => response, json: resolve, send: resolve }
      ask({ method: 'POST', body, headers: {}, query: {} }, response).catch(reject)
    })`,
  'azure-functions': `
    const { ask } = await import('./azure-functions/ask.mjs')
    return async (body) => {
      const request = new Request('https://acme.azurewebsites.net/api/ask', { method: 'POST', body: JSON.stringify(body) })
      return (await ask(request, { invocationId: 'i-1' })).jsonBody
    }`,
}

async function deployed(platform: string) {
  const sandbox = await startSandbox({ knobs: { revocationMs: 0, activationMs: 0 } })
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-serverless-'))
  cpSync(join(repository, 'examples/serverless'), folder, { recursive: true })
  mkdirSync(join(folder, 'node_modules'))
  // As npm install leaves them.
  symlinkSync(repository, join(folder, 'node_modules/keyturn'))
  symlinkSync(resolve(repository, 'node_modules/openai'), join(folder, 'node_modules/openai'))
  const file = join(folder, 'openai.key')
  const put = ({ value }: { readonly value: string }) => writeFileSync(file, value, { mode: 0o600 })
  const first = sandbox.createServiceAccountKey()
  put(first)
  const yaml = `credentials: { openai: { store: { kind: file }, ref: ${file}, issuer: { kind: manual, baseUrl: "${sandbox.baseUrl}" } } }`
  writeFileSync(join(folder, 'keyturn.yaml'), yaml, { mode: 0o600 })
  const platformFile = join(folder, 'platform.mjs')
  writeFileSync(
    platformFile,
    `import { createInterface } from 'node:readline'
const load = async () => {${platforms[platform]}}
const invoke = await load()
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await invoke(JSON.parse(line)).catch((error) => ({ error: String(error) }))))
`,
  )
  const { KEYTURN_URL: _url, OPENAI_API_KEY: _key, ...env } = process.env
  const child = spawn(process.execPath, [platformFile], {
    cwd: folder,
    env: { ...env, KEYTURN_CONFIG: join(folder, 'keyturn.yaml'), KEYTURN_HOME: join(folder, 'home') },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  onTestFinished(async () => {
    const ended = once(child, 'exit')
    child.stdin.end()
    await ended
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const invoke = async (): Promise<{ readonly answer?: string; readonly error?: string }> => {
    child.stdin.write(`${JSON.stringify(question)}\n`)
    const { value } = (await lines.next()) as { readonly value: string }
    return JSON.parse(value) as { readonly answer?: string }
  }
  return { sandbox, first, put, invoke, child }
}

it.each(Object.keys(platforms))(
  '%s: answers, keeps its key between calls, and goes on when it was replaced',
  async (platform) => {
    const { sandbox, first, put, invoke } = await deployed(platform)
    expect((await invoke()).answer).toMatch(/.+/)
    const checks = () => sandbox.requests().filter(({ path }) => path.endsWith('/models')).length
    const before = checks()
    expect((await invoke()).answer).toMatch(/.+/)
    expect(checks()).toBe(before)
    put(sandbox.createServiceAccountKey())
    sandbox.deleteKey(first.id)
    expect((await invoke()).answer).toMatch(/.+/)
  },
)

it('a function goes on whose instance was stopped while its key was replaced', async () => {
  const { sandbox, first, put, invoke, child } = await deployed('aws-lambda')
  expect((await invoke()).answer).toMatch(/.+/)
  // As the platform does it between two calls; the clock goes on, the timers do not.
  child.kill('SIGSTOP')
  put(sandbox.createServiceAccountKey())
  sandbox.deleteKey(first.id)
  child.kill('SIGCONT')
  expect((await invoke()).answer).toMatch(/.+/)
})
