/** Held by the type checker: what apps write against the public types. Nothing here is run. */
import { createOpenAI } from '@ai-sdk/openai'
import { ChatOpenAI } from '@langchain/openai'
import OpenAI from 'openai'
import {
  type ClientOptions,
  createClient,
  type ErrorCode,
  endDefaultClients,
  getOpenAICredential,
  getOpenAIKey,
  type KeyturnClient,
  KeyturnClientError,
  type OpenAICredential,
  type OpenAIOptions,
  openAIOptions,
  withKeyRefresh,
} from '../../src/index.ts'

/** `true` where both are the same type, as far as assigning in both directions can tell. */
type Same<A, B> = [A, B] extends [B, A] ? true : false

export async function openai(): Promise<OpenAI[]> {
  return [
    new OpenAI({ apiKey: getOpenAIKey }),
    new OpenAI({ apiKey: () => getOpenAIKey('openai-prod') }),
    new OpenAI({ apiKey: getOpenAIKey, fetch: withKeyRefresh(fetch) }),
    new OpenAI(await openAIOptions()),
    new OpenAI({ ...(await openAIOptions('openai-prod')), maxRetries: 0, timeout: 1_000 }),
    new OpenAI({ apiKey: createClient().getOpenAIKey }),
  ]
}

export async function vercel(): Promise<unknown[]> {
  const { apiKey, fetch, baseURL } = await openAIOptions()
  return [
    createOpenAI({ apiKey: getOpenAIKey }),
    createOpenAI({ apiKey, fetch, baseURL }),
    createOpenAI({ apiKey: getOpenAIKey, fetch: withKeyRefresh(globalThis.fetch) }),
  ]
}

export async function langchain(): Promise<ChatOpenAI[]> {
  const { apiKey, ...configuration } = await openAIOptions()
  return [
    new ChatOpenAI({ apiKey: getOpenAIKey }),
    new ChatOpenAI({ apiKey, configuration }),
    new ChatOpenAI({ apiKey, configuration: { fetch: withKeyRefresh(fetch) } }),
  ]
}

export const claims: readonly true[] = [
  true satisfies Same<Awaited<ReturnType<KeyturnClient['getOpenAIKey']>>, string>,
  true satisfies Same<Awaited<ReturnType<KeyturnClient['getOpenAICredential']>>, OpenAICredential>,
  true satisfies Same<Awaited<ReturnType<KeyturnClient['openAIOptions']>>, OpenAIOptions>,
  true satisfies Same<KeyturnClientError['code'], ErrorCode>,
  true satisfies Same<ReturnType<typeof withKeyRefresh>, typeof globalThis.fetch>,
]

export async function calls(): Promise<void> {
  using client = createClient({ url: new URL('http://127.0.0.1:7420'), onError: (error) => void error.fix })
  await client.report({ status: 401, code: 'invalid_api_key' })

  const options: ClientOptions = {}
  // @ts-expect-error: options are read only
  options.timeoutMs = 1
  // @ts-expect-error: a misspelt option
  createClient({ tokenfile: '/run/token' })
  // @ts-expect-error: a report needs the status
  await client.report({ code: 'invalid_api_key' })
  await endDefaultClients()
  const credential = await getOpenAICredential()
  // @ts-expect-error: a credential is read only
  credential.apiKey = 'x'
  // @ts-expect-error: not an error code
  const error = new KeyturnClientError('no_such_code', 'x')
  throw error
}
