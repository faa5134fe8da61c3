/**
 * Keys resolved in this process, where no service is configured. The resolver itself is `main`, imported when the first
 * key is asked for; what the client needs of it is written down here by shape, so that nothing of it is loaded before.
 */
import type { ReportAnswer } from '../api/types.ts'
import type { ErrorCode } from '../core/errors.ts'
import { sealed } from './credential.ts'
import { orAborted, startDeadline } from './deadline.ts'
import { KeyturnClientError } from './errors.ts'
import type { Cancel, Platform } from './platform.ts'
import type { Question, Reply, Source } from './source.ts'
import type { Refusal } from './types.ts'
import { isRecord } from './wire.ts'

/** `HandOut` of the engine, as far as the client reads it. Instants are epoch milliseconds. */
export interface EmbeddedHandOut {
  readonly kind: 'available'
  readonly name: string
  readonly version: string
  readonly fingerprint: string
  readonly stage: string
  readonly secret: { reveal(): string }
  readonly organization: string | undefined
  readonly project: string | undefined
  readonly baseUrl: string
  readonly verdict: string
  readonly verifiedAt: number
  readonly rotatesAt: number | undefined
  readonly staleAfterMs: number
  readonly generation: number
}

/** `NoHandOut` of the engine, as far as the client reads it. */
export interface EmbeddedNoHandOut {
  readonly kind: 'unavailable'
  readonly summary: string
  readonly fix: string
  readonly generation: number
}

/**
 * Resolves one credential in this process: verified, cached, failing over, not rotating. It owes: `handOut` from
 * memory; listeners told after every change; no work that keeps the process alive; `stop` safe to repeat.
 */
export interface EmbeddedResolver {
  /** Undefined for a credential that is not configured. */
  handOut(): EmbeddedHandOut | EmbeddedNoHandOut | undefined
  onHandOut(listener: () => void): Cancel
  report(refusal: Refusal & { readonly version: string }): Promise<ReportAnswer>
  /** The process may have been frozen: resolves when what is known is as young as in one that was not. May be absent. */
  freshen?(): Promise<void>
  stop(): Promise<void> | void
}

export type OpenEmbedded = (options: {
  readonly credential: string
  readonly env: Readonly<Record<string, string | undefined>>
}) => Promise<EmbeddedResolver>

export interface EmbeddedOptions {
  readonly credential: string
  readonly platform: Platform
  readonly open: OpenEmbedded | undefined
}

export function createEmbeddedSource({ credential, platform, open }: EmbeddedOptions): Source {
  let opening: Promise<EmbeddedResolver> | undefined
  let isStopped = false
  const resolver = (): Promise<EmbeddedResolver> => {
    opening ??= openResolver({ credential, platform, open }).catch((error: unknown) => {
      opening = undefined
      throw notFound(credential, error)
    })
    return opening
  }
  const stop = async () => {
    isStopped = true
    await (await opening)?.stop()
  }
  return {
    where: 'this process',
    idle: 'none',
    async ask(question) {
      const opened = await orAborted(resolver(), question.signal)
      // A client that was closed while its resolver opened must not leave it running.
      if (isStopped) await opened.stop()
      return await askResolver(opened, question, { credential, platform })
    },
    report: async (refusal) => await (await resolver()).report(refusal),
    follow: (follower) => {
      let cancel: Cancel = () => undefined
      let isFollowing = true
      void resolver()
        .then((opened) => {
          if (!isFollowing) return
          cancel = opened.onHandOut(() => follower.onChange())
          follower.onLive(true)
          follower.onChange()
        })
        .catch((error: unknown) => follower.onTrouble(notFound(credential, error)))
      return () => {
        isFollowing = false
        cancel()
      }
    },
    end: () => Promise.resolve(),
    stop: () => {
      void stop().catch((error: unknown) => {
        const name = error instanceof Error ? error.name : typeof error
        platform.warn(
          new KeyturnClientError('internal', `The resolver in this process did not stop: ${name}.`),
        )
      })
    },
  }
}

async function openResolver({ credential, platform, open }: EmbeddedOptions): Promise<EmbeddedResolver> {
  const { env } = platform
  if (open !== undefined) return await open({ credential, env })
  const main = await import('../main.ts')
  return await main.openEmbedded({ credential, env })
}

/** Answers at once where there is a key; else waits for the first one, as long as the question may take. */
async function askResolver(
  resolver: EmbeddedResolver,
  question: Question,
  { credential, platform }: { credential: string; platform: Platform },
): Promise<Reply> {
  const seen = question.holdSeconds === undefined ? undefined : question.etag
  const waitMs = question.holdSeconds === undefined ? question.timeoutMs : question.holdSeconds * 1000
  const isBackground = question.isBackground
  const deadline = startDeadline(platform, {
    timeoutMs: waitMs,
    isBackground,
    parent: question.signal,
    what: 'The first verification in this process',
  })
  let cancel: Cancel = () => undefined
  try {
    const settled = new Promise<Reply>((resolve) => {
      const look = () => {
        const reply = replyOf(resolver.handOut(), credential)
        if (reply.kind === 'answer' && reply.answer.etag !== seen) resolve(reply)
      }
      cancel = resolver.onHandOut(look)
      look()
    })
    if (isBackground) {
      // Timers stood still in a process that was frozen: what it knows may be hours old.
      await orAborted(resolver.freshen?.() ?? Promise.resolve(), deadline.signal)
      return replyOf(resolver.handOut(), credential)
    }
    return await orAborted(settled, deadline.signal)
  } catch (error) {
    if (question.signal.aborted) throw error
    return replyOf(resolver.handOut(), credential)
  } finally {
    cancel()
    deadline.end()
  }
}

function replyOf(handOut: EmbeddedHandOut | EmbeddedNoHandOut | undefined, credential: string): Reply {
  if (handOut === undefined) throw notFound(credential, undefined)
  if (handOut.kind === 'unavailable') {
    const { summary, fix, generation } = handOut
    const error = new KeyturnClientError('no_verified_key', `No key for "${credential}": ${summary}`, {
      fix,
      retryable: true,
    })
    return { kind: 'none', generation, error }
  }
  const { secret, organization, project, verifiedAt, rotatesAt, staleAfterMs, ...same } = handOut
  const credentialFields = {
    ...same,
    apiKey: secret.reveal(),
    organization: organization ?? null,
    project: project ?? null,
    verifiedAt: new Date(verifiedAt).toISOString(),
    rotatesAt: rotatesAt === undefined ? null : new Date(rotatesAt).toISOString(),
  }
  const etag = `${handOut.generation} ${handOut.version} ${handOut.verdict}`
  return { kind: 'answer', answer: { credential: sealed(credentialFields), staleAfterMs, etag } }
}

/** Most who have no configuration have a service. */
const whereAService =
  'To ask a service, set KEYTURN_URL and KEYTURN_TOKEN (commands find one on this machine by KEYTURN_HOME, its folder). Without one:'
const whereToLook =
  'Set KEYTURN_URL and KEYTURN_TOKEN to use a Keyturn service, or OPENAI_API_KEY or a keyturn.yaml to resolve keys in this process.'

/** Says where was looked. What the resolver itself says is kept, since it knows better what is wrong. */
function notFound(credential: string, thrown: unknown): KeyturnClientError {
  if (thrown instanceof KeyturnClientError) return thrown
  const looked = `KEYTURN_URL is not set, so "${credential}" was looked for in this process`
  if (isRecord(thrown) && thrown['name'] === 'KeyturnError' && typeof thrown['code'] === 'string') {
    const { code, message, fix } = thrown
    const own = typeof fix === 'string' ? fix : whereToLook
    return new KeyturnClientError(code as ErrorCode, `${looked}: ${String(message)}`, {
      fix: code === 'config_missing' ? `${whereAService} ${own}` : own,
      retryable: thrown['retryable'] === true,
      cause: thrown,
    })
  }
  if (thrown === undefined)
    return new KeyturnClientError('config_missing', `${looked}, and nothing is configured under that name.`, {
      fix: whereToLook,
    })
  const what = thrown instanceof Error ? thrown.name : typeof thrown
  return new KeyturnClientError('internal', `${looked}, which failed: ${what}.`, {
    fix: whereToLook,
    cause: thrown,
  })
}
