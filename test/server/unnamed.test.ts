import { expect, it } from 'vitest'
import type { CredentialSummary, List } from '../../src/api/types.ts'
import { bearer, openStream, startServer } from './harness.ts'

/** As core/retirement.ts and engine/blast-radius.ts say it. */
const said = [
  'credential openai-prod holds the same key',
  'openai-prod holds the same key, which was said there to be in the wrong hands: it is about to be revoked.',
]

it('that another credential holds the same key is told to an app, and not which; to an operator, by its name', async () => {
  const harness = await startServer()
  const summary = harness.service.summary.bind(harness.service)
  const withHolder = async (name: string): Promise<CredentialSummary> => ({
    ...(await summary(name)),
    retirements: [
      {
        id: 'r',
        version: 'v',
        fingerprint: null,
        phase: 'draining',
        startedAt: '2026-01-01T00:00:00.000Z',
        overlapUntil: '2026-01-01T00:00:00.000Z',
        heldBy: said[0] ?? '',
        endedAt: null,
        halt: null,
        steps: [],
      },
    ],
    troubles: said.map((text) => ({
      code: 'key_still_used',
      summary: `Kept: ${text}`,
      fix: text,
      since: null,
    })),
  })
  Object.assign(harness.service, { summary: withHolder })
  const ask = async (token: string): Promise<string> =>
    JSON.stringify(
      (
        (await (await harness.get('/v1/credentials', bearer(token))).json()) as List<CredentialSummary>
      ).items.filter(({ name }) => name === 'openai'),
    )
  const toApp = await ask(harness.app)
  expect(toApp).not.toContain('openai-prod')
  expect(toApp.split('another credential holds the same key').length - 1).toBe(5)
  const toOperator = await ask(harness.operator)
  for (const text of said) expect(toOperator).toContain(text)
})

it('and in the event stream nobody is named', async () => {
  const harness = await startServer()
  const stream = await openStream(harness)
  await stream.received(1)
  harness.service.emit({ credential: 'openai', kind: 'alert', data: { summary: said[1] ?? '' } })
  const messages = await stream.received(2)
  expect(JSON.stringify(messages)).toContain('another credential holds the same key, which was said there')
  expect(JSON.stringify(messages)).not.toContain('openai-prod')
  stream.close()
})
