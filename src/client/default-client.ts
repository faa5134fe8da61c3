/**
 * The functions for apps with nothing to configure: one client per credential, made at its first use from the
 * environment and kept for the life of the process.
 */
import { type OpenClient, openClient } from './create-client.ts'
import { KeyturnClientError, toClientError } from './errors.ts'
import { limits } from './limits.ts'
import { onNothingLeft } from './platform.ts'
import type { ClientOptions, Fetch, KeyturnClient, OpenAICredential, OpenAIOptions } from './types.ts'

const named = new Map<string, KeyturnClient>()
let unnamed: KeyturnClient | undefined
/** All of them. */
const opened = new Set<OpenClient>()
let isEndSeen = false

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
  let made: { readonly of: KeyturnClient; readonly fetch: Fetch } | undefined
  return async (input, init) => {
    // Made at the first request: a process that never asks for one needs no configuration.
    const client = clientOf(name)
    if (made?.of !== client) made = { of: client, fetch: client.withKeyRefresh(fetch) }
    return await made.fetch(input, init)
  }
}

/**
 * Tells Keyturn that this process uses none of the keys any more that it got by these functions, so that a rotation need not wait for
 * it. A process that ends by itself does so without being asked; this is for one that is ended (`process.exit`, signals). Takes a second at
 * most and never rejects. What `openAIOptions()` gave is refused afterwards with `stopping`; who asks anew gets a new client.
 */
export async function endDefaultClients(): Promise<void> {
  const ending = [...opened].map(({ client }) => client.end())
  opened.clear()
  named.clear()
  unnamed = undefined
  await Promise.all(ending)
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
    unnamed ??= open()
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
  const client = open({ credential: name })
  named.set(name, client)
  return client
}

function open(options: ClientOptions = {}): KeyturnClient {
  const one = openClient(options)
  opened.add(one)
  if (!isEndSeen) {
    isEndSeen = true
    // A client that has left does nothing the next time, so that what is said here brings no end of ends.
    onNothingLeft(() => {
      for (const { leave } of opened) void leave()
    })
  }
  return one.client
}
