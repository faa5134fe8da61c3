import { chmod, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { Log } from '../../src/core/ports.ts'
import { getTextWith, openAccess, readOwn } from '../../src/main/access.ts'
import { openTokenStore } from '../../src/server/tokens.ts'
import { shiftedSystem, temporaryFolder, until } from '../server/harness.ts'

const policyOf = (credential: string): string =>
  `tokens: [{ name: ci, grants: [{ credentials: [${credential}], may: [read] }] }]\n`

async function open() {
  const folder = await temporaryFolder()
  const file = join(folder, 'policy.yaml')
  const put = async (text: string, mode = 0o600): Promise<void> => {
    await writeFile(`${file}.new`, text)
    await chmod(`${file}.new`, mode)
    await rename(`${file}.new`, file)
  }
  await put(policyOf('openai'))
  const text = `home: home
access: { file: policy.yaml, approvals: [{ emergency: 2 }] }
credentials: { openai: { store: { kind: local } }, other: { store: { kind: local } } }
`
  const config = loadConfig({
    env: {},
    cwd: folder,
    readFile: (path) => (path.endsWith('keyturn.yaml') ? text : policyOf('openai')),
  })
  const logs: string[] = []
  const log: Log = (level, message, fields) =>
    logs.push(`${level} ${message} ${fields?.['error'] instanceof Error ? fields['error'].message : ''}`)
  const system = shiftedSystem()
  const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
  const reading = { failures: 0 }
  const readText = async (path: string): Promise<string> => {
    if (reading.failures === 0) return readOwn(path)
    reading.failures -= 1
    throw Object.assign(new Error('no file handle is left'), { code: 'EMFILE' })
  }
  const access = await openAccess(config, { tokens, system, log, readText })
  onTestFinished(async () => {
    access.stop()
    await tokens.close()
  })
  const credentialsOf = (): readonly string[] | undefined =>
    access.policy.policy.tokens[0]?.grants[0]?.credentials
  return { put, logs, access, credentialsOf, config, reading, file }
}

it('reads the policy again when it changes, behind the rules of keyturn.yaml', async () => {
  const { put, access, credentialsOf } = await open()
  expect(access.policy.policy.approvals).toEqual([{ credentials: ['*'], emergency: 2, revocation: 1 }])
  expect(credentialsOf()).toEqual(['openai'])
  await put(policyOf('other'))
  await until(() => credentialsOf()?.[0] === 'other')
})

it('keeps the last good policy where the new one cannot be used or is gone, and says so', async () => {
  const { put, logs, access, credentialsOf } = await open()
  const { generation } = access.policy
  for (const [index, nothing] of ['', '# nothing yet\n'].entries()) {
    await put(nothing)
    await until(() => logs.filter((line) => line.includes('the file is empty')).length === index + 1)
  }
  logs.length = 0
  await put(policyOf('nobody'))
  await until(() => logs.some((line) => line.includes("no credential is named 'nobody'")))
  await put('tokens: {')
  await until(() => logs.filter((line) => line.includes('cannot be used')).length === 2)
  expect([credentialsOf(), access.policy.generation]).toEqual([['openai'], generation])
  await put(policyOf('other'))
  await until(() => credentialsOf()?.[0] === 'other')
})

it('reads a policy that could not be read when it changed, as soon as it can be, and says it once', async () => {
  const { put, logs, credentialsOf, reading } = await open()
  reading.failures = 2
  await put(policyOf('other'))
  await until(() => credentialsOf()?.[0] === 'other')
  expect(reading.failures).toBe(0)
  expect(logs.filter((line) => line.includes('cannot be read'))).toHaveLength(1)
})

it('keeps the last policy where others can write the new one', async () => {
  const { put, logs, credentialsOf, file } = await open()
  await put(policyOf('other'), 0o666)
  await until(() => logs.some((line) => line.includes('Others on this machine can write')))
  expect(credentialsOf()).toEqual(['openai'])
  await chmod(file, 0o600)
  await put(policyOf('other'))
  await until(() => credentialsOf()?.[0] === 'other')
})

it('does not start on a policy that cannot be used', async () => {
  const { put, config } = await open()
  await put('nonsense: 1\n')
  const system = shiftedSystem()
  const folder = await temporaryFolder()
  const log = (): void => undefined
  const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
  onTestFinished(() => tokens.close())
  await expect(openAccess(config, { tokens, system, log })).rejects.toMatchObject({ code: 'config_invalid' })
})

it('gets the keys of issuers from where it asked, over HTTPS, in bounded size', async () => {
  const system = shiftedSystem()
  const asked: string[] = []
  const answer = (status: number, chunks: readonly string[]) =>
    getTextWith(async (url) => {
      asked.push(url)
      return {
        status,
        headers: { get: () => null },
        body: (async function* () {
          for (const chunk of chunks) yield Buffer.from(chunk)
        })(),
      }
    }, system)
  expect(await answer(200, ['{"a"', ':1}'])('https://issuer.example/keys')).toBe('{"a":1}')
  const big = 'x'.repeat(600_000)
  await expect(answer(200, [big, big])('https://issuer.example/keys')).rejects.toThrow('more than fits')
  await expect(answer(302, [])('https://issuer.example/keys')).rejects.toThrow('answered 302')
  const before = asked.length
  await expect(answer(200, ['{}'])('http://issuer.example/keys')).rejects.toThrow('HTTPS')
  expect(asked).toHaveLength(before)
})

it('says at the start whose key set cannot be used, and starts', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'jwks.json'), 'not JSON', { mode: 0o600 })
  const rule = `{ name: ci, issuer: 'https://ci.example', audience: keyturn, jwksFile: jwks.json, grants: [{ credentials: [openai], may: [read] }] }`
  const text = `access: { jwt: [${rule}] }\ncredentials: { openai: { store: { kind: local } } }\n`
  const config = loadConfig({
    env: {},
    cwd: folder,
    readFile: (path) => (path.endsWith('keyturn.yaml') ? text : undefined),
  })
  const system = shiftedSystem()
  const logs: string[] = []
  const log: Log = (level, message, fields) =>
    void logs.push(`${level} ${message} ${String(fields?.['error'])}`)
  const tokens = await openTokenStore({ path: join(folder, 'tokens.json'), system, log })
  const access = await openAccess(config, { tokens, system, log })
  onTestFinished(async () => {
    access.stop()
    await tokens.close()
  })
  expect(logs).toEqual([
    expect.stringMatching(
      /^error nobody is let in by a rule .*jwks\.json, which jwksFile names, is not JSON/,
    ),
  ])
})
