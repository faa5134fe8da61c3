import type { ReportAnswer } from '../api/types.ts'
import { elapsedMs } from './cache.ts'
import { orAborted, pause, startDeadline } from './deadline.ts'
import { type KeyturnClientError, toClientError } from './errors.ts'
import type { Knowledge } from './knowledge.ts'
import { limits } from './limits.ts'
import type { Platform } from './platform.ts'
import type { OpenAICredential, Refusal } from './types.ts'

export interface ReplaceOptions {
  readonly knowledge: Knowledge
  readonly platform: Platform
  readonly report: (refusal: Refusal & { readonly version: string }) => Promise<ReportAnswer>
  readonly onTrouble: (error: KeyturnClientError) => void
  readonly signal: AbortSignal
}

/** Finds another key for one that OpenAI refused; undefined where there is none soon. Never rejects. */
export type Replace = (
  refused: OpenAICredential,
  refusal: Omit<Refusal, 'version'>,
) => Promise<OpenAICredential | undefined>

/**
 * However many requests are refused with a key, one report is made and one wait shared. A wait that was in vain is not
 * begun again at once: during an outage of the key every request would otherwise take seconds longer to fail.
 */
export function createReplace(options: ReplaceOptions): Replace {
  const { knowledge } = options
  let flight: { readonly key: string; readonly found: Promise<OpenAICredential | undefined> } | undefined
  let vain: { readonly key: string; readonly at: ReturnType<Knowledge['now']> } | undefined

  return (refused, refusal) => {
    const key = refused.apiKey
    const other = otherThan(refused, knowledge)
    if (other !== undefined) return Promise.resolve(other)
    if (flight?.key === key) return flight.found
    if (vain?.key === key && elapsedMs(vain.at, knowledge.now()) < limits.replaceAgainMs)
      return Promise.resolve(undefined)
    const find = async () => {
      const found = await findOther(refused, refusal, options)
      flight = undefined
      vain = found === undefined ? { key, at: knowledge.now() } : undefined
      return found
    }
    flight = { key, found: find() }
    return flight.found
  }
}

async function findOther(
  refused: OpenAICredential,
  refusal: Omit<Refusal, 'version'>,
  options: ReplaceOptions,
): Promise<OpenAICredential | undefined> {
  const { knowledge, platform, onTrouble, signal } = options
  const deadline = startDeadline(platform, {
    timeoutMs: limits.replaceMs,
    isBackground: false,
    parent: signal,
    what: 'Another key',
  })
  // The event stream may bring the key first, which ends the waiting here.
  const change = new AbortController()
  const stop = knowledge.onChange(() => {
    if (otherThan(refused, knowledge) !== undefined) change.abort()
  })
  const either = AbortSignal.any([deadline.signal, change.signal])
  try {
    await orAborted(options.report({ ...refusal, version: refused.version }), either).catch(
      (error: unknown) => {
        if (!either.aborted) onTrouble(toClientError(error, 'Reporting a refused key failed'))
      },
    )
    await lookForOther(refused, options, either)
  } catch (error) {
    if (!either.aborted) onTrouble(toClientError(error, 'Asking for another key failed'))
  } finally {
    stop()
    deadline.end()
  }
  return otherThan(refused, knowledge)
}

async function lookForOther(
  refused: OpenAICredential,
  { knowledge, platform, onTrouble }: ReplaceOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let look = 0; look < limits.replaceLooksMax && !signal.aborted; look += 1) {
    // The first question is plain, since the change may have happened already; the next ones are held by the service.
    const holdSeconds = look === 0 ? {} : { holdSeconds: Math.ceil(limits.replaceMs / 1000) }
    try {
      const timeoutMs = limits.replaceMs
      await knowledge.ask({ isBackground: false, isHeldRefused: true, timeoutMs, signal, ...holdSeconds })
    } catch (error) {
      if (signal.aborted) return
      const known = toClientError(error, 'Asking for another key failed')
      onTrouble(known)
      if (!known.retryable) return
    }
    if (otherThan(refused, knowledge) !== undefined) return
    await pause(platform, limits.replaceGapMs, { signal, isBackground: false })
  }
}

function otherThan(refused: OpenAICredential, knowledge: Knowledge): OpenAICredential | undefined {
  const served = knowledge.held()?.credential
  return served === undefined || served.apiKey === refused.apiKey ? undefined : served
}
