// An app as its owners run it: a process of its own that calls OpenAI all the time, in three ways, and tells what came of it.
import OpenAI, { APIError } from 'openai'
import type * as Keyturn from '../../src/index.ts'
import type { Failure } from './judge.ts'
import { pause } from './pause.ts'
import { NoKey, PlainCaller } from './plain-caller.ts'

/** Given in SOAK_ORDER. */
export interface AppOrder {
  readonly app: string
  /** Who this life of it is, in Keyturn's leases. */
  readonly instance: string
  readonly baseUrl: string
  /** Requests a second. */
  readonly rate: number
}

export type AppMessage =
  | {
      readonly kind: 'tally'
      readonly served: number
      readonly streamed: number
      readonly generation: number
    }
  | { readonly kind: 'failure'; readonly failure: Failure }
  | { readonly kind: 'fell'; readonly from: number; readonly to: number; readonly caller: string }
  | { readonly kind: 'first key'; readonly afterMs: number; readonly generation: number }

const keyturn = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof Keyturn
const { createClient, KeyturnClientError } = keyturn

const order = JSON.parse(process.env['SOAK_ORDER'] ?? '{}') as AppOrder
const { getOpenAICredential, getOpenAIKey, openAIOptions } = createClient({ instance: order.instance })
const callersEach = 3
/** How often the generation is looked at and what was done is told. */
const lookMs = 50
const tallyMs = 500
/** Looks that may pass until a key is given to who had one: the client waits for a second where it heard nothing for long. */
const waitedLooksMax = 30
/** Who got no first key asks again after this long. */
const againMs = 1_000
const question = { model: 'gpt-6-luna', messages: [{ role: 'user' as const, content: 'Say something.' }] }

type Caller = Failure['caller']
type Request = (isStream: boolean) => Promise<void>

const startedAt = Date.now()
const stopping = new AbortController()
const warm = new Set<Caller>()
const seen = new Map<string, number>()
let served = 0
let streamed = 0
let looks = 0

process.on('message', (message) => {
  if (message === 'stop') stopping.abort()
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(0))

await run()
process.disconnect()
// Its client follows the service in the background, which keeps no process from ending.

async function run(): Promise<void> {
  const plain = new PlainCaller({
    url: process.env['KEYTURN_URL'] ?? '',
    tokenFile: process.env['KEYTURN_TOKEN_FILE'] ?? '',
    instance: `${order.app}-plain`,
    signal: stopping.signal,
    onGeneration: (generation) => note('plain', generation),
  })
  const following = plain.follow()
  const telling = setInterval(tell, tallyMs)
  const looking = setInterval(() => void look(), lookMs)
  await Promise.all([
    ...many('options', await untilMade('options', optionsRequest)),
    ...many('bare', bareRequest()),
    ...many('plain', (isStream) => plain.request(isStream)),
  ])
  clearInterval(telling)
  clearInterval(looking)
  await following
  tell()
}

// ------------------------------------------------------------------ three ways to call OpenAI

/** `new OpenAI(await client.openAIOptions())`: all that Keyturn can do for an app. */
async function optionsRequest(): Promise<Request> {
  const openai = new OpenAI(await openAIOptions())
  return (isStream) => converse(openai, isStream)
}

/** Nothing but `apiKey: getOpenAIKey`. */
function bareRequest(): Request {
  const openai = new OpenAI({
    apiKey: getOpenAIKey,
    baseURL: order.baseUrl,
    organization: null,
    project: null,
  })
  return (isStream) => converse(openai, isStream)
}

async function converse(openai: OpenAI, isStream: boolean): Promise<void> {
  if (!isStream) {
    const completion = await openai.chat.completions.create(question)
    assertText(completion.choices[0]?.message.content ?? '')
    return
  }
  let text = ''
  for await (const chunk of await openai.chat.completions.create({ ...question, stream: true }))
    text += chunk.choices[0]?.delta.content ?? ''
  assertText(text)
}

function assertText(text: string): void {
  if (text === '') throw new Error('an empty answer')
}

// ------------------------------------------------------------------ calling, and telling of it

function many(caller: Caller, request: Request): Promise<void>[] {
  // The rate is of all callers of this process together; each waits for what is left of its turn.
  const gapMs = (1000 * callersEach * 3) / order.rate
  const loop = async (index: number): Promise<void> => {
    await pause(Math.random() * gapMs, stopping.signal)
    for (let count = index; !stopping.signal.aborted; count += 1) {
      const from = Date.now()
      await once(caller, () => request(count % 2 === 1), count % 2 === 1)
      await pause(from + gapMs * (0.5 + Math.random()) - Date.now(), stopping.signal)
    }
  }
  return Array.from({ length: callersEach }, (_, index) => loop(index))
}

async function once(caller: Caller, request: () => Promise<void>, isStream: boolean): Promise<void> {
  const at = Date.now()
  try {
    await request()
    warm.add(caller)
    served += 1
    if (isStream) streamed += 1
  } catch (thrown) {
    fail(caller, at, thrown)
  }
}

/** What is made with a first key is made again until there is one. */
async function untilMade<Made>(caller: Caller, make: () => Promise<Made>): Promise<Made> {
  for (;;) {
    const at = Date.now()
    try {
      const made = await make()
      const { generation } = await getOpenAICredential()
      send({ kind: 'first key', afterMs: Date.now() - startedAt, generation })
      return made
    } catch (thrown) {
      fail(caller, at, thrown)
      await pause(againMs, stopping.signal)
      if (stopping.signal.aborted) throw thrown
    }
  }
}

function fail(caller: Caller, at: number, thrown: unknown): void {
  const isApi = thrown instanceof APIError
  const noKey = noKeyOf(thrown)
  const failure: Failure = {
    app: order.app,
    caller,
    startedAt: at,
    endedAt: Date.now(),
    status: isApi ? (thrown.status as number | undefined) : undefined,
    code: isApi ? (thrown.code ?? undefined) : undefined,
    requestId: isApi ? (thrown.requestID ?? undefined) : undefined,
    noKey,
    isWarm: warm.has(caller),
    // Messages of OpenAI echo the ends of keys: the output of a soak is read by others too.
    what: noKey ?? (thrown instanceof Error ? thrown.name : 'something else was thrown'),
  }
  send({ kind: 'failure', failure })
  // Its key was proven dead, so it begins anew.
  if (noKey === 'no_verified_key') warm.delete(caller)
}

/** The SDK wraps what its key function throws. */
function noKeyOf(thrown: unknown): string | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1)
    if (error instanceof KeyturnClientError || error instanceof NoKey) return error.code
  return undefined
}

/** A key that is there is given at once. Time counts in turns of the loop, as this process may have to wait for its own. */
async function look(): Promise<void> {
  looks += 1
  if (!warm.has('options')) return
  const [at, from] = [Date.now(), looks]
  const credential = await getOpenAICredential().catch(() => undefined)
  if (looks - from > waitedLooksMax) fail('options', at, new NoKey('waited'))
  if (credential !== undefined) note('client', credential.generation)
}

function note(caller: string, generation: number): void {
  const before = seen.get(caller) ?? -1
  if (generation < before) send({ kind: 'fell', from: before, to: generation, caller })
  seen.set(caller, generation)
}

function tell(): void {
  send({ kind: 'tally', served, streamed, generation: Math.max(-1, ...seen.values()) })
}

function send(message: AppMessage): void {
  if (process.connected) process.send?.(message)
}
