import { isProtected } from './address.ts'
import { coldStart, type Waiting } from './cold-start.ts'
import { orAborted, pause, startDeadline } from './deadline.ts'
import { createEmbeddedSource } from './embedded.ts'
import { KeyturnClientError, toClientError } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import { createKnowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Cancel, Platform } from './platform.ts'
import { createPulse, type Pulse } from './pulse.ts'
import { createRefreshingFetch } from './refreshing-fetch.ts'
import { createReplace, type Replace } from './replace.ts'
import { createServe } from './serve.ts'
import { createServiceSource } from './service-source.ts'
import { platformOf, readSettings } from './settings.ts'
import type { Source } from './source.ts'
import { createTeller, type Teller } from './teller.ts'
import { sendByFiles } from './tls-files.ts'
import type { ClientOptions, KeyturnClient, OpenAICredential, OpenAIOptions } from './types.ts'

/**
 * A client of one credential. Nothing happens before it is asked for a key; from then on it follows the service in the
 * background until `close()`, without keeping the process alive.
 *
 * Throws KeyturnClientError `bad_request` or `config_invalid` for options that cannot be used.
 */
export function createClient(options: ClientOptions = {}): KeyturnClient {
  return openClient(options).client
}

/** A client, and what programs that carry keys on for others need beside it. */
export interface OpenClient {
  readonly client: KeyturnClient
  /** What is served now; undefined before the first key and while there is none. */
  readonly held: () => OpenAICredential | undefined
  /** Calls back after what is served was replaced or withdrawn. */
  readonly onChange: (listener: () => void) => Cancel
  /** Says that a generation is in use until the function it returns is called: its key is not revoked meanwhile. */
  readonly use: (generation: number) => Cancel
  /** By what name Keyturn knows this app; undefined until it has said so. */
  readonly app: () => string | undefined
  /** Another key for one that OpenAI refused, where there is one soon. */
  readonly replace: Replace
  /** Says it now, and asks for news; resolves when that was answered or failed. */
  readonly tell: () => Promise<void>
  /**
   * For a process that has nothing left to do: tells Keyturn that it uses no key any more, as `end` does, and does nothing more in
   * the background. The client stays open: whoever asks for a key after all waits until Keyturn was asked, and is followed again.
   */
  readonly leave: () => Promise<void>
}

export interface OpenClientOptions extends ClientOptions {
  /** All calls go through `platform.quietSend`, so that nothing loads fetch. */
  readonly isQuiet?: boolean
  /** A first key that the service refuses with 429 is not waited for: whoever asked is told, and waits himself. */
  readonly isThrottleFinal?: boolean
  /** Told where a key is waited for for longer than a moment. */
  readonly onWaiting?: (waiting: Waiting) => void
  /** Told in place of `onError` of what works, though changes are seen later than they could be. */
  readonly onDegraded?: (error: KeyturnClientError) => void
}

export function openClient(options: OpenClientOptions): OpenClient {
  const own = platformOf(options)
  const settings = readSettings(options, own)
  const { credential, timeoutMs, staleAfterMs, url, tls } = settings
  const platform = tls === undefined ? own : { ...own, quietSend: sendByFiles(tls, own.readText) }
  const closing = new AbortController()
  const { signal } = closing
  const teller = { ...createTeller(options.onError, platform), ...degradedBy(options) }
  const source =
    url === undefined
      ? createEmbeddedSource({ credential, platform, open: options.openEmbedded })
      : createServiceSource({ ...settings, url }, platform, {
          ...options,
          // Node's fetch takes neither an authority nor a certificate.
          isQuiet: options.isQuiet === true || tls !== undefined,
        })

  const requests = createInFlight(() => movedOn())
  const knowledge = createKnowledge(source, platform, requests)
  const pulse = createPulse({ knowledge, source, platform, ...teller, signal })
  // Keyturn waits with a retirement for this to be said, so it is said soon, though several endings make one call.
  const tellSoon = onceAWhile(platform, limits.tellMs, signal, async () => {
    if (leaving === undefined) await pulse.refresh()
  })
  const movedOn = () => {
    const [now, said] = [knowledge.inFlight(), knowledge.saidInFlight()]
    if (now !== undefined && said !== undefined && now > said) tellSoon()
  }
  knowledge.onChange(movedOn)
  let app: string | undefined
  const onNamed = (name: string) => {
    app = name
  }
  let isFollowing = false
  let leaving: Promise<void> | undefined
  const background = {
    onNamed,
    onFollowing: () => {
      isFollowing = true
    },
    source,
    knowledge,
    pulse,
    platform,
    inFlight: knowledge.inFlight,
    ...teller,
  }
  let isAsked = false
  let following: AbortController | undefined
  const begin = () => {
    leaving = undefined
    if (following !== undefined) return
    following = new AbortController()
    followInBackground({ ...background, signal: AbortSignal.any([signal, following.signal]) })
  }

  const serve = createServe({
    knowledge,
    pulse,
    platform,
    staleAfterMs,
    wakeWaitMs: source.idle === 'none' ? limits.wakeEmbeddedMs : limits.wakeWaitMs,
    signal,
    isAway: () => leaving !== undefined,
    refresh: async () => {
      // Heard the other way round, the end would be that of the lease which is taken now.
      await leaving
      if (signal.aborted) return
      begin()
      await pulse.refresh()
    },
    load: async () => {
      isAsked = true
      if (url !== undefined && !isProtected(url)) teller.onDegraded(inTheClear(url))
      const loaded = await coldStart({
        knowledge,
        platform,
        credential,
        timeoutMs,
        staleAfterMs,
        isThrottleFinal: options.isThrottleFinal ?? false,
        onWaiting: options.onWaiting,
        signal,
      })
      begin()
      return loaded
    },
  })
  const replace = createReplace({
    knowledge,
    platform,
    report: (refusal) => source.report(refusal, signal),
    onTrouble: teller.onTrouble,
    signal,
  })
  const withKeyRefresh: KeyturnClient['withKeyRefresh'] = (fetch) =>
    createRefreshingFetch({ fetch, knowledge, requests, replace, platform })
  const close = () => {
    if (signal.aborted) return
    closing.abort(
      new KeyturnClientError('stopping', `The client for "${credential}" was closed.`, {
        fix: 'Make a new one with createClient().',
      }),
    )
    source.stop()
  }
  const end = async () => {
    if (signal.aborted) return
    const isDone = isAsked && requests.oldest() === undefined
    const isCut = isUnderWay()
    close()
    if (isDone) await signOff(source, platform, isCut)
  }
  const isUnderWay = () => pulse.isAsking() || (isFollowing && !pulse.isLive())
  const leave = async () => {
    // Somebody else who was told that nothing is left to do has just asked for a key: there will be another time.
    if (signal.aborted || leaving !== undefined || serve.isInUse()) return
    // In this process nobody waits for it.
    if (url === undefined || knowledge.held() === undefined) return
    const isCut = isUnderWay()
    following?.abort(new KeyturnClientError('stopping', `Nobody uses the key of "${credential}".`))
    following = undefined
    isFollowing = false
    pulse.rest()
    leaving = signOff(source, platform, isCut)
    await leaving
  }
  const client: KeyturnClient = {
    getOpenAIKey: () => serve.key(),
    getOpenAICredential: () => serve.credential(),
    openAIOptions: async (): Promise<OpenAIOptions> => {
      const { organization, project, baseUrl } = await serve.credential()
      const fetch = withKeyRefresh(platform.fetch)
      return { apiKey: () => serve.key(), organization, project, baseURL: baseUrl, fetch }
    },
    withKeyRefresh,
    report: async (refusal) => {
      const version = refusal.version ?? (await serve.credential()).version
      try {
        return await source.report({ ...refusal, version }, signal)
      } catch (error) {
        throw toClientError(error, 'Reporting a refused key failed')
      }
    },
    close,
    end,
    [Symbol.dispose]: close,
  }
  return {
    client,
    held: () => knowledge.held()?.credential,
    onChange: knowledge.onChange,
    use: (generation) => requests.enter(generation),
    app: () => app,
    replace,
    tell: () => pulse.refresh(),
    leave,
  }
}

/** What fails here costs ten minutes: for so long a silent app is taken for one that lives. */
async function signOff(source: Source, platform: Platform, isCut: boolean): Promise<void> {
  const deadline = startDeadline(platform, {
    timeoutMs: limits.endMs,
    isBackground: false,
    what: `Keyturn at ${source.where}`,
  })
  const { signal } = deadline
  // What was cut off may be on its way still, and be heard after the first end.
  const end = async () => {
    await source.end(signal)
    if (isCut) await source.end(signal)
  }
  await orAborted(end(), signal).catch(() => undefined)
  deadline.end()
}

function degradedBy({ onDegraded }: OpenClientOptions): Partial<Teller> {
  return onDegraded === undefined ? {} : { onDegraded }
}

/** Told and not refused: where something else encrypts the way (a mesh, a tunnel), only the app's owner knows it. */
function inTheClear(url: URL): KeyturnClientError {
  return new KeyturnClientError(
    'config_invalid',
    `Keyturn at ${url.origin} is asked without encryption: whoever is on the way can read the token and the keys.`,
    { fix: 'Use an https:// address, or run Keyturn beside the app on 127.0.0.1.' },
  )
}

interface Background {
  readonly onNamed: (app: string) => void
  readonly onFollowing: () => void
  readonly source: Source
  readonly pulse: Pulse
  readonly platform: Platform
  readonly knowledge: {
    readonly heard: () => void
    readonly held: () => { credential: { generation: number } } | undefined
  }
  readonly inFlight: () => number | undefined
  readonly onTrouble: (error: KeyturnClientError) => void
  readonly onDegraded: (error: KeyturnClientError) => void
  readonly signal: AbortSignal
}

/** Starts a moment after the first key, so that a script which only wants one never opens a stream. */
function followInBackground(background: Background): void {
  const { source, pulse, platform, knowledge, inFlight, onNamed, onTrouble, onDegraded, signal } = background
  pulse.start()
  const follow = () => {
    background.onFollowing()
    const cancel = source.follow(
      {
        onLive: (isLive) => {
          pulse.setLive(isLive)
          // What changed between the last answer and the beginning of the stream was told to nobody.
          if (isLive) void pulse.refresh()
        },
        onChange: () => void pulse.refresh(),
        onHeard: knowledge.heard,
        onNamed,
        onTrouble,
        onDegraded,
      },
      () => ({ generation: knowledge.held()?.credential.generation ?? -1, inFlight: inFlight() }),
    )
    signal.addEventListener('abort', cancel, { once: true })
  }
  pause(platform, limits.followAfterMs, { signal, isBackground: true }).then(follow, () => undefined)
}

function onceAWhile(
  platform: Platform,
  delayMs: number,
  signal: AbortSignal,
  act: () => Promise<void>,
): () => void {
  let isDue = false
  return () => {
    if (isDue || signal.aborted) return
    isDue = true
    platform.after(
      delayMs,
      () => {
        isDue = false
        if (!signal.aborted) void act()
      },
      { background: true },
    )
  }
}
