import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { type AwsSecretsManagerOptions, openStore } from '../../src/stores/index.ts'
import { failure } from '../conformance/store-suite-support.ts'
import { testContext } from './fakes/system.ts'

afterEach(() => vi.unstubAllEnvs())

/** Where it is heard, in the clear, whatever is sent. By 0.0.0.0 it is reached too, which is no name for this machine alone. */
async function eavesdropper(): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = []
  const server = createServer((request, response) => {
    heard.push(String(request.headers['x-amz-target']))
    const body = {
      Name: 'openai',
      SecretString: 'text',
      VersionId: 'v'.repeat(32),
      VersionStages: ['AWSCURRENT'],
    }
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body))
  })
  await new Promise<void>((listening) => server.listen(0, '0.0.0.0', listening))
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, heard }
}

async function open(options: AwsSecretsManagerOptions, env: Readonly<Record<string, string>> = {}) {
  const context = testContext('.', { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...env })
  const store = await openStore({ kind: 'aws-secrets-manager', region: 'eu-central-1', ...options }, context)
  onTestFinished(() => store.close())
  return store
}

async function profileWith(endpoint: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-aws-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'config')
  await writeFile(path, `[default]\nendpoint_url = ${endpoint}\n`)
  return path
}

const sources: readonly (readonly [string, (endpoint: string) => ReturnType<typeof open>])[] = [
  ['the option', (endpoint) => open({ endpoint })],
  [
    'AWS_ENDPOINT_URL_SECRETS_MANAGER',
    (endpoint) => open({}, { AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint }),
  ],
  [
    'AWS_ENDPOINT_URL, which the SDK reads',
    (endpoint) => {
      vi.stubEnv('AWS_ENDPOINT_URL', endpoint)
      return open({})
    },
  ],
  [
    'a profile, which the SDK reads',
    async (endpoint) => {
      vi.stubEnv('AWS_CONFIG_FILE', await profileWith(endpoint))
      return open({})
    },
  ],
]

it.each(sources)('sends nothing in the clear beyond this machine: %s', async (_source, openAt) => {
  const { port, heard } = await eavesdropper()
  const endpoint = `http://0.0.0.0:${port}`
  const store = await openAt(endpoint)
  const version = { version: 'v1', meta: {}, fence: 1 }
  for (const call of [
    () => store.read('openai'),
    () => store.describe('openai'),
    () => store.retire('openai', version),
  ]) {
    const refused = await failure(call())
    expect(refused).toMatchObject({ code: 'config_invalid', fix: expect.stringContaining('https://') })
    expect(`${refused.message}${refused.fix}`).not.toContain(String(port))
  }
  expect(heard).toEqual([])
})

it.each(sources)('takes plain HTTP to this machine: %s', async (_source, openAt) => {
  const { port, heard } = await eavesdropper()
  await (await openAt(`http://127.0.0.1:${port}`)).read('openai')
  expect(heard).toContain('secretsmanager.GetSecretValue')
})
