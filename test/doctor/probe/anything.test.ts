import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { findingKinds } from '../../../src/doctor/catalogue.ts'
import { rawServer } from '../network/servers.ts'
import { factsOf, findingsOf, realDoctor } from './support.ts'

const key = ['sk', 'proj', 'Zq8Wv3Lm5Xt7Rb1NkPq2Yd6Hs9Jf4Gc0'].join('-')
const body = key.slice('sk-proj-'.length)
const pieces = Array.from({ length: body.length - 3 }, (_, start) => body.slice(start, start + 4))

const word = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom(key, body.slice(0, 8), body.slice(-4), `Bearer ${key}`, 'org-a', '9'.repeat(30)),
)
const clean = word.map((text) => text.replaceAll(/[^\x20-\x7e]/g, '?'))
const names = [
  'server',
  'via',
  'location',
  'x-request-id',
  'openai-organization',
  'openai-project',
  'date',
  'retry-after',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
  'content-type',
  'age',
] as const
const bodies = fc.oneof(
  fc.json(),
  word,
  clean.map((text) => `<title>${text}</title>`),
  fc
    .record({ message: word, type: word, code: word, param: fc.constant(null) })
    .map((error) => JSON.stringify({ error })),
  fc.array(fc.record({ id: word })).map((data) => JSON.stringify({ object: 'list', data })),
)
const answers = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      status: fc.constantFrom(200, 204, 302, 400, 401, 403, 404, 407, 429, 500, 503, 599),
      headers: fc.dictionary(fc.constantFrom(...names), clean),
      body: bodies,
    })
    .map(({ status, headers, body: text }) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      const length = Buffer.byteLength(text)
      return Buffer.from(`HTTP/1.1 ${status} X\r\n${lines.join('')}content-length: ${length}\r\n\r\n${text}`)
    }),
)

it('whatever a server answers: no throw, findings of the catalogue, nothing of the key, and an end', async () => {
  let given = Buffer.alloc(0)
  const port = await rawServer((socket) => void socket.once('data', () => socket.end(given)))
  const place = { kind: 'file', path: 'app.py', line: 1 } as const
  const facts = factsOf({
    key,
    baseUrl: `http://127.0.0.1:${port}/v1`,
    more: { models: [{ value: 'gpt-5', place }], organization: { value: 'org-a', place } },
  })
  const property = fc.asyncProperty(answers, async (answer) => {
    given = answer
    const doctor = realDoctor({ options: { stepTimeoutMs: 1_000, isBillable: true } })
    const startedAt = performance.now()
    const findings = await findingsOf(facts, doctor)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    for (const { code } of findings) expect(findingKinds).toHaveProperty(code)
    const told = JSON.stringify([findings, doctor.steps, doctor.logged])
    expect(told.length).toBeLessThan(20_000)
    for (const piece of pieces) expect(told).not.toContain(piece)
  })
  await fc.assert(property, { numRuns: 150 })
})
