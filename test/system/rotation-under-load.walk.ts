import OpenAI from 'openai'
import { expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/client/create-client.ts'
import {
  aliveKeys,
  prepareRig,
  type Rig,
  rotate,
  untilAllDead,
  untilKnownEverywhere,
  untilPromoted,
  untilReady,
} from './harness.ts'
import { serveRig } from './in-process.ts'

const rotations = 20
const inFlight = 50

it('twenty rotations, each to a proven death, under fifty requests in flight: none fails and none is retried', async () => {
  // A request may be on its way with the old key for as long as this busy process needs to send it: the overlap is for that.
  const rig = await prepareRig({ knobs: { latencyMs: 5 }, policy: { overlap: '12s', quiet: '2s' } })
  await serveRig(rig)
  await untilReady(rig)
  await untilKnownEverywhere(rig.sandbox)
  const client = createClient({ url: rig.url, token: rig.appToken(), env: {} })
  onTestFinished(() => client.close())
  const load = startLoad(rig, client.getOpenAIKey)
  onTestFinished(async () => {
    await load.stop()
  })

  for (let count = 0; count < rotations; count++) {
    const { id } = await rotate(rig, { reason: `turn ${count + 1}` })
    const { outcome } = await untilPromoted(rig, id)
    expect(outcome).toBe('promoted')
  }
  // The last old keys die under load too.
  const { retirements } = await untilAllDead(rig)
  const { answered, failures } = await load.stop()

  expect(failures).toEqual([])
  expect(retirements.map((one) => one.phase)).toEqual(Array.from({ length: rotations }, () => 'dead'))
  expect(answered).toBeGreaterThan(rotations * inFlight)
  // What the application cannot see, the sandbox can: not one of its requests was refused, at any edge.
  const refused = rig.sandbox
    .requests()
    .filter((one) => one.path.startsWith('/v1/chat') && one.status !== 200)
  expect(refused).toEqual([])
  expect(aliveKeys(rig.sandbox)).toHaveLength(1)
}, 300_000)

interface Load {
  stop(): Promise<{ readonly answered: number; readonly failures: readonly string[] }>
}

/** As an application does it: the official SDK, `apiKey: getOpenAIKey`, no retries of its own; every second one streams. */
function startLoad(rig: Rig, apiKey: () => Promise<string>): Load {
  const openai = new OpenAI({
    apiKey,
    baseURL: rig.sandbox.baseUrl,
    organization: null,
    project: null,
    maxRetries: 0,
  })
  const failures: string[] = []
  let answered = 0
  let isStopping = false
  const work = async (index: number): Promise<void> => {
    while (!isStopping) {
      try {
        const text = index % 2 === 0 ? await whole(openai) : await streamed(openai)
        if (text === '') failures.push('an empty answer')
        answered += 1
      } catch (thrown) {
        failures.push(String(thrown).slice(0, 200))
      }
    }
  }
  const workers = Array.from({ length: inFlight }, (_one, index) => work(index))
  return {
    async stop() {
      isStopping = true
      await Promise.all(workers)
      return { answered, failures }
    },
  }
}

const request = { model: 'gpt-6-luna', messages: [{ role: 'user' as const, content: 'Say something.' }] }

async function whole(openai: OpenAI): Promise<string> {
  const completion = await openai.chat.completions.create(request)
  return completion.choices[0]?.message.content ?? ''
}

async function streamed(openai: OpenAI): Promise<string> {
  let text = ''
  for await (const chunk of await openai.chat.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? ''
  }
  return text
}
