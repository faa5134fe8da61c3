import { expect, it } from 'vitest'
import { operations } from '../../src/api/operations.ts'
import type { OpenApi } from '../fuzz/document.ts'
import { fuzz } from '../fuzz/fuzz.ts'
import { canary } from './fake-service.ts'
import { startServer } from './harness.ts'

const skipped = { streamEvents: 'it has no end; events.test.ts looks at it' }

it('answers whatever is asked as the OpenAPI document says, without a fault and without a secret', async () => {
  const harness = await startServer()
  const document = (await (await fetch(`${harness.url}/openapi.json`)).json()) as OpenApi
  const spare = await harness.tokens.create({ name: 'spare', role: 'app', credentials: ['openai'] })
  for (const name of ['openai', 'openai-prod'])
    await harness.send('POST', `/v1/credentials/${name}/rotations`, {})
  const tokens = [harness.app, harness.other, harness.operator]
  const result = await fuzz({
    url: harness.url,
    document,
    callers: [
      // Thrice: most routes are for operators.
      ...[1, 2, 3].map(() => ({
        name: 'an operator',
        authorization: `Bearer ${harness.operator}`,
        isKnown: true,
      })),
      { name: 'an app', authorization: `Bearer ${harness.app}`, isKnown: true },
      { name: 'another app', authorization: `Bearer ${harness.other}`, isKnown: true },
      { name: 'somebody unknown', authorization: 'Bearer nobody', isKnown: false },
      { name: 'somebody without a token', authorization: undefined, isKnown: false },
    ],
    known: {
      values: {
        name: ['openai', 'openai', 'openai-prod', 'openai-nope'],
        id: ['rotation-1', 'rotation-1', 'rotation-2', spare.id],
        version: ['version-1', 'version-2'],
        instance: ['web-1'],
      },
      skipped,
    },
    numRuns: 1_000,
    // The same requests every time; the walk draws others.
    seed: 20_261_125,
    isLeaking: (text) => text.includes(canary) || tokens.some((token) => text.includes(token)),
  })
  // Every operation was asked, and most of them not only refused: some the service of these tests always refuses.
  const expected = Object.keys(operations).filter((id) => !(id in skipped))
  expect([...result.seen.keys()].sort()).toEqual(expected.sort())
  const reached = Object.entries(operations).filter(([id, { status }]) => result.seen.get(id)?.has(status))
  expect(reached.length).toBeGreaterThan(expected.length * 0.75)
  expect(harness.logs.filter((line) => line.startsWith('error'))).toEqual([])
})
