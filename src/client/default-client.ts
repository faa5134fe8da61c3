/**
 * The functions for apps with nothing to configure: one client per credential, made at its first use from the
 * environment and kept for the life of the process.
 */
import { createClient } from './create-client.ts'
import { KeyturnClientError, toClientError } from './errors.ts'
import { limits } from './limits.ts'
import type { Fetch, KeyturnClient, OpenAICredential, OpenAIOptions } from './types.ts'

const named = new Map<string, KeyturnClient>()
let unnamed: KeyturnClient | undefined

/**
 * The current verified key of `name`, by default of KEYTURN_CREDENTIAL or `openai`. Cheap enough for every request,
 * and made to be passed on: `new OpenAI({ apiKey: getOpenAIKey })`. Anything but a string is taken for no name, since
 * libraries call key functions with arguments of their own. Rejects with a KeyturnClientError.
 */
export function getOpenAIKey(name?: unknown): Promise<string> {
  // Written out for the common call, which is the one that is measured.
  if (unnamed !== undefined && typeof name !== 'string') return unnamed.getOpenAIKey()
  return using(name, (client) => client.getOpenAIKey())
}

/** The same with organisation, project, base URL, version and age. */
export function getOpenAICredential(name?: unknown): Promise<OpenAICredential> {
  return using(name, (client) => client.getOpenAICredential())
}

/** All that `new OpenAI(…)` needs, the refreshing fetch included: `new OpenAI(await openAIOptions())`. */
export function openAIOptions(name?: unknown): Promise<OpenAIOptions> {
  return using(name, (client) => client.openAIOptions())
}

/** A fetch that asks for another key when OpenAI refuses one from `getOpenAIKey()`, and then tries once more. */
export function withKeyRefresh(fetch: Fetch, name?: unknown): Fetch {
  let refreshing: Fetch | undefined
  return async (input, init) => {
    // Made at the first request: a process that never asks for one needs no configuration.
    refreshing ??= clientOf(name).withKeyRefresh(fetch)
    return await refreshing(input, init)
  }
}

async function using<Value>(name: unknown, use: (client: KeyturnClient) => Promise<Value>): Promise<Value> {
  let client: KeyturnClient
  try {
    client = clientOf(name)
  } catch (error) {
    throw toClientError(error, 'Keyturn is not configured')
  }
  return await use(client)
}

function clientOf(name: unknown): KeyturnClient {
  if (typeof name !== 'string') {
    unnamed ??= createClient()
    return unnamed
  }
  const known = named.get(name)
  if (known !== undefined) return known
  if (named.size >= limits.clientsMax)
    throw new KeyturnClientError(
      'bad_request',
      `This process asks for more than ${limits.clientsMax} credentials.`,
      {
        fix: 'Make clients with createClient() and close those that are no longer needed.',
      },
    )
  const client = createClient({ credential: name })
  named.set(name, client)
  return client
}
