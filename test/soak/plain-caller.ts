import { readFileSync } from 'node:fs'
import { APIError } from 'openai'
import { type CredentialAnswer, headers as keyturnHeaders } from '../../src/api/types.ts'
import { pause } from './pause.ts'

export interface PlainCallerOptions {
  readonly url: string
  readonly tokenFile: string
  readonly instance: string
  readonly signal: AbortSignal
  readonly onGeneration: (generation: number) => void
}

/** How long a question is held by the service, and how much longer nobody waits for its answer. */
const holdSeconds = 10
const answerMs = 5_000
const againMs = 200
/** As long as the client of the package gives a refused request. */
const replaceMs = 5_000
const triesMax = 3

interface Held {
  readonly answer: CredentialAnswer
  readonly etag: string
}

/** An app in another language, say: a held question all the time, a report where its key is refused, and one try more. */
export class PlainCaller {
  readonly #options: PlainCallerOptions
  readonly #inFlight = new Map<number, number>()
  #held: Held | undefined
  #noKey: string = 'service_unreachable'

  constructor(options: PlainCallerOptions) {
    this.#options = options
  }

  /** Holds a question until it is told to stop. */
  async follow(): Promise<void> {
    const { signal } = this.#options
    while (!signal.aborted) {
      const isFine = await this.#ask(`?wait=${holdSeconds}`, holdSeconds * 1000 + answerMs)
      if (!isFine) await pause(againMs, signal)
    }
  }

  async request(isStream: boolean): Promise<void> {
    const held = this.#held ?? (await this.#first())
    const refusal = await this.#send(held.answer, isStream)
    if (refusal === undefined) return
    const other = await this.#replace(held, refusal)
    if (other === undefined) throw refusal
    const again = await this.#send(other.answer, isStream)
    if (again !== undefined) throw again
  }

  // ---------------------------------------------------------------- Keyturn

  async #first(): Promise<Held> {
    const endsAt = Date.now() + 10_000
    while (this.#held === undefined && Date.now() < endsAt && !this.#options.signal.aborted)
      await pause(20, this.#options.signal)
    if (this.#held === undefined) throw new NoKey(this.#noKey)
    return this.#held
  }

  async #ask(query: string, withinMs: number): Promise<boolean> {
    const etag = this.#held?.etag
    const answer = await this.#call(`/v1/credentials/openai${query}`, {
      withinMs,
      ...(etag === undefined ? {} : { headers: { 'if-none-match': etag } }),
    })
    if (answer === undefined) {
      this.#noKey = 'service_unreachable'
      return false
    }
    if (answer.status === 304) return true
    const body = JSON.parse(answer.text) as CredentialAnswer & { readonly code?: string }
    if (answer.status === 200) {
      // Two questions at once may be answered out of order.
      if (this.#held !== undefined && body.generation < this.#held.answer.generation) return false
      this.#held = { answer: body, etag: answer.headers.get('etag') ?? '' }
      this.#options.onGeneration(body.generation)
      return true
    }
    this.#noKey = body.code ?? String(answer.status)
    const generation = Number(answer.headers.get(keyturnHeaders.generation) ?? -1)
    // What was held is proven dead.
    if (body.code === 'no_verified_key' && generation > (this.#held?.answer.generation ?? -1))
      this.#held = undefined
    return false
  }

  async #replace(refused: Held, refusal: APIError): Promise<Held | undefined> {
    const other = (): Held | undefined =>
      this.#held?.answer.apiKey === refused.answer.apiKey ? undefined : this.#held
    const endsAt = Date.now() + replaceMs
    const { version } = refused.answer
    const report = {
      version,
      status: 401,
      code: 'invalid_api_key',
      requestId: refusal.requestID ?? undefined,
    }
    while (other() === undefined && Date.now() < endsAt && !this.#options.signal.aborted) {
      await this.#call('/v1/credentials/openai/reports', { withinMs: 2_000, body: JSON.stringify(report) })
      await this.#ask('', 2_000)
      if (other() === undefined) await pause(againMs, this.#options.signal)
    }
    return other()
  }

  async #call(
    path: string,
    { withinMs, headers, body }: { withinMs: number; headers?: Record<string, string>; body?: string },
  ): Promise<{ status: number; headers: Headers; text: string } | undefined> {
    const { url, tokenFile, instance, signal } = this.#options
    try {
      const response = await fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`,
          [keyturnHeaders.instance]: instance,
          ...this.#oldestInFlight(),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
        ...(body === undefined ? {} : { body }),
      })
      return { status: response.status, headers: response.headers, text: await response.text() }
    } catch {
      return undefined
    }
  }

  #oldestInFlight(): Record<string, string> {
    const oldest = Math.min(...this.#inFlight.keys())
    return Number.isFinite(oldest) ? { [keyturnHeaders.inFlight]: String(oldest) } : {}
  }

  // ---------------------------------------------------------------- OpenAI

  /** A refused key is an answer; everything else that goes wrong is thrown, after a few tries where that helps. */
  async #send(answer: CredentialAnswer, isStream: boolean): Promise<APIError | undefined> {
    const { generation } = answer
    this.#inFlight.set(generation, (this.#inFlight.get(generation) ?? 0) + 1)
    try {
      for (let tries = 1; ; tries += 1) {
        const error = await this.#post(answer, isStream)
        if (error === undefined) return undefined
        if (error.status === 401 && error.code === 'invalid_api_key') return error
        if (tries === triesMax) throw error
        await pause(againMs)
      }
    } finally {
      const left = (this.#inFlight.get(generation) ?? 1) - 1
      if (left === 0) this.#inFlight.delete(generation)
      else this.#inFlight.set(generation, left)
    }
  }

  async #post(answer: CredentialAnswer, isStream: boolean): Promise<APIError | undefined> {
    const { organization, project } = answer
    const response = await fetch(`${answer.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${answer.apiKey}`,
        'content-type': 'application/json',
        ...(organization === null ? {} : { 'openai-organization': organization }),
        ...(project === null ? {} : { 'openai-project': project }),
      },
      body: JSON.stringify({
        model: 'gpt-6-luna',
        messages: [{ role: 'user', content: 'Say something.' }],
        stream: isStream,
      }),
    })
    const text = await response.text()
    if (response.ok) {
      if (!text.includes(isStream ? '[DONE]' : '"content"')) throw new Error('an answer without its end')
      return undefined
    }
    const body = JSON.parse(text) as { readonly error: object }
    return APIError.generate(response.status, body, undefined, response.headers)
  }
}

/** No key could be had, and why: the code of Keyturn's problem. */
export class NoKey extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.name = 'NoKey'
    this.code = code
  }
}
