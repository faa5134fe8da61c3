import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openStore } from '../../src/stores/index.ts'
import { failure } from '../conformance/store-suite-support.ts'
import { testContext } from './fakes/system.ts'

function fileOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-google-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'credentials.json')
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

for (const transport of ['rest', 'grpc'] as const)
  it(`credentials that are of no use fail the call and not the process (${transport})`, async () => {
    const env = { GOOGLE_APPLICATION_CREDENTIALS: fileOf('{ "type": "service_account" }') }
    const config = { kind: 'google-secret-manager', project: 'p', transport, maxAttempts: 1 } as const
    const store = await openStore(config, testContext('.', env))
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    for (let call = 0; call < 3; call++) expect((await failure(store.read('name'))).code).toMatch(/^store_/)
    await store.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).toEqual([])
  })

it.each([
  ['is not there', '/nowhere/credentials.json', /cannot be read/],
  ['is no JSON', '', /is not JSON/],
])('a credentials file that %s is named at once', async (_what, path, message) => {
  const file = path === '' ? fileOf('not json') : path
  const context = testContext('.', { GOOGLE_APPLICATION_CREDENTIALS: file })
  const error = await failure(openStore({ kind: 'google-secret-manager', project: 'p' }, context))
  expect(error.code).toBe('config_invalid')
  expect(error.message).toMatch(message)
  expect(error.message).toContain(file)
})
