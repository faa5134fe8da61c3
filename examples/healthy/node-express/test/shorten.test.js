import assert from 'node:assert'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

process.env.OPENAI_API_KEY = 'sk-test-not-a-real-key'
const { redact } = await import('../src/shorten.js')

test('takes keys out of logs', async () => {
  const { fake } = JSON.parse(await readFile(new URL('fixtures/keys.json', import.meta.url), 'utf8'))
  for (const key of fake) assert.strictEqual(redact(`key ${key}.`), 'key sk-….')
})
