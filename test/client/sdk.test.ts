import { createOpenAI } from '@ai-sdk/openai'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, streamText } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { inferenceModels } from '../../src/sandbox/index.ts'
import { openWorld, underLoad, type World } from './sdk-support.ts'

const model = inferenceModels[0] ?? ''
const prompt = 'Say something.'
const turns = 4
const width = 20

/** This one does not tell when its requests end, so that only the overlap protects them. */
const untracked = 'openai, with getOpenAIKey alone'

interface App {
  /** One request, to its end; streamed or not. Throws where the answer is not whole. */
  readonly call: (isStreamed: boolean) => Promise<void>
}

/** The ways to write an app. None of them retries by itself, so that nothing is hidden. */
const apps: Record<string, (world: World) => Promise<App>> = {
  'openai, with openAIOptions()': async ({ client }) =>
    openaiApp(new OpenAI({ ...(await client.openAIOptions()), maxRetries: 0 })),
  [untracked]: ({ client, sandbox }) =>
    Promise.resolve(
      openaiApp(new OpenAI({ apiKey: client.getOpenAIKey, baseURL: sandbox.baseUrl, maxRetries: 0 })),
    ),
  '@ai-sdk/openai': async ({ client }) => {
    const { apiKey, fetch, baseURL, project } = await client.openAIOptions()
    const provider = createOpenAI({ apiKey, fetch, baseURL, ...(project === null ? {} : { project }) })
    return {
      call: async (isStreamed) => {
        const options = { model: provider.chat(model), prompt, maxRetries: 0 }
        if (!isStreamed) {
          whole((await generateText(options)).text)
          return
        }
        let failure: unknown
        const onError = ({ error }: { error: unknown }) => {
          failure = error
        }
        let text = ''
        for await (const part of streamText({ ...options, onError }).textStream) text += part
        if (failure !== undefined) throw failure
        whole(text)
      },
    }
  },
  '@ai-sdk/openai, responses': async ({ client }) => {
    const { apiKey, fetch, baseURL } = await client.openAIOptions()
    const provider = createOpenAI({ apiKey, fetch, baseURL })
    return {
      call: async () => whole((await generateText({ model: provider(model), prompt, maxRetries: 0 })).text),
    }
  },
  '@langchain/openai': async ({ client }) => {
    const { apiKey, ...configuration } = await client.openAIOptions()
    const chat = new ChatOpenAI({ model, apiKey, configuration, maxRetries: 0 })
    return {
      call: async (isStreamed) => {
        if (!isStreamed) {
          whole((await chat.invoke(prompt)).text)
          return
        }
        let text = ''
        for await (const part of await chat.stream(prompt)) text += part.text
        whole(text)
      },
    }
  },
}

function openaiApp(openai: OpenAI): App {
  return {
    call: async (isStreamed) => {
      const messages = [{ role: 'user' as const, content: prompt }]
      if (!isStreamed) {
        const completion = await openai.chat.completions.create({ model, messages })
        whole(completion.choices[0]?.message.content ?? '')
        return
      }
      let text = ''
      for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true }))
        text += chunk.choices[0]?.delta.content ?? ''
      whole(text)
    },
  }
}

function whole(text: string): void {
  if (!text.startsWith('This is a short')) throw new Error(`The answer is not whole: ${JSON.stringify(text)}`)
}

describe.each(Object.entries(apps))('an app on %s', (name, make) => {
  it('loses no request while the key turns under load and each old key dies', {
    timeout: 60_000,
  }, async () => {
    const world = await openWorld()
    const app = await make(world)
    await app.call(false)
    await world.service.until(() => world.service.streams.size === 1)
    const calls = await underLoad(
      width,
      (index) => app.call(index % 2 === 0),
      async (settled) => {
        for (let turn = 0; turn < turns; turn += 1) await world.turn(name === untracked ? settled : undefined)
      },
    )
    expect(calls).toBeGreaterThan(width)
    expect(world.service.answer().generation).toBe(turns + 1)
    expect(await world.client.getOpenAIKey()).toBe(world.service.answer().apiKey)
    expect(world.refusals()).toBe(0)
  })
})

const refreshing = Object.entries(apps).filter(([name]) => name !== untracked)
describe.each(refreshing)('an app on %s', (_, make) => {
  it('loses no request when its key dies without warning', { timeout: 60_000 }, async () => {
    const world = await openWorld()
    const app = await make(world)
    await app.call(false)
    for (let death = 1; death <= 2; death += 1) {
      world.kill()
      await Promise.all(Array.from({ length: width }, (_unused, index) => app.call(index % 2 === 0)))
      expect(world.service.reports).toHaveLength(death)
      expect(world.refusals()).toBeGreaterThanOrEqual(death)
    }
  })
})
