import type { RotationSummary } from '../api/types.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import { type Alarm, createAlarm } from './alarm.ts'
import type { Api } from './api.ts'
import { passesByItself } from './away.ts'
import type { Context } from './command.ts'
import { type ExitCode, exitCodes } from './exit.ts'
import { type Ending, endingOf, progressLines, renderProgress } from './progress.ts'
import { renderRehearsal } from './rehearsal.ts'
import { short } from './text.ts'

/** How often is asked while events are told, so that one that was lost is caught, and while they are not. */
const askWithStreamMs = 5_000
const askAloneMs = 1_000
/** A stream that ended is opened again after this long. */
const streamAgainMs = 2_000
/** A service that is started anew is waited for this long. */
const unreachableMsMax = 120_000
/** How long a promoted rotation without a retirement is looked at, in case it was asked in between. */
const settleMs = 3_000

/** Shows a rotation until it has ended; `first` is the summary that starting it answered. */
export async function watchRotation(context: Context, api: Api, first: RotationSummary): Promise<ExitCode> {
  const { io, out } = context
  const alarm = createAlarm((delayMs, callback) => io.after(delayMs, callback))
  const show = createShow(context)
  const stream = followEvents(context, api, { name: first.credential, alarm })
  let isInterrupted = false
  const stopSignals = io.onSignal(() => {
    isInterrupted = true
    alarm.ring()
  })
  try {
    let latest = first
    let settledAt: number | undefined
    for (;;) {
      show(latest)
      const ending = endingOf(latest)
      if (isInterrupted) return interrupted(context, latest)
      if (ending.kind === 'done' && ending.isUnaccompanied) settledAt ??= io.now() + settleMs
      const isSettling = settledAt !== undefined && io.now() < settledAt && latest.retirement === null
      if (ending.kind !== 'running' && !isSettling) return ended(context, latest, ending)
      await alarm.wait(stream.isOpen() && !isSettling ? askWithStreamMs : askAloneMs, () => {
        if (out.isLive) show(latest)
      })
      latest = isInterrupted
        ? latest
        : await ask(context, { api, latest, alarm, isOver: () => isInterrupted })
    }
  } finally {
    stopSignals()
    stream.stop()
    alarm.cancel()
  }
}

/** The rotation as it is now; a service that is away for a moment is waited for. */
async function ask(
  { io, out }: Context,
  input: {
    readonly api: Api
    readonly latest: RotationSummary
    readonly alarm: Alarm
    readonly isOver: () => boolean
  },
): Promise<RotationSummary> {
  const { api, latest, alarm } = input
  const giveUpAt = io.now() + unreachableMsMax
  let isTold = false
  for (;;) {
    try {
      return await api.rotation(latest.credential, latest.id)
    } catch (thrown) {
      const error = toKeyturnError(thrown, 'asking for the rotation failed')
      if (error.code === 'not_found') throw forgotten(latest, error)
      const isAway = passesByItself(error.code)
      if (!isAway || io.now() >= giveUpAt)
        throw lost(error, isAway ? ' once the service runs' : ' all the same')
      if (!isTold) out.note('the service does not answer; waiting for it to come back')
      isTold = true
      await alarm.wait(askAloneMs)
      if (input.isOver()) return latest
    }
  }
}

/** A ledger that was lost or put back: whether the rotation goes on is not known, and is not claimed. */
function forgotten({ credential, id }: RotationSummary, cause: KeyturnError): KeyturnError {
  const message = `the ledger does not know rotation ${short(id)} of ${credential} any more: it was lost or put back to an earlier state`
  const fix = `See 'keyturn status ${credential}' for the key that is handed out now, and whether it is to be turned again.`
  return new KeyturnError('not_found', message, { fix, cause })
}

function lost(error: KeyturnError, when: string): KeyturnError {
  return new KeyturnError(error.code, `${error.message.replace(/\.$/, '')}; the rotation goes on${when}`, {
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    cause: error,
  })
}

function interrupted({ out }: Context, rotation: RotationSummary): ExitCode {
  const name = rotation.credential
  const isRunning = rotation.endedAt === null
  out.note(
    isRunning
      ? `The rotation goes on. See 'keyturn status ${name} --watch'; stop it with 'keyturn abort ${name}'.`
      : `The new key is out; the old one's retirement goes on. See 'keyturn status ${name} --watch'; while the old key lives, 'keyturn rollback ${name}' takes it back.`,
  )
  return exitCodes.interrupted
}

function ended({ out }: Context, rotation: RotationSummary, ending: Ending): ExitCode {
  if (rotation.outcome === 'rehearsed' || rotation.outcome === 'rehearsal_failed')
    return rehearsed(out, rotation, ending)
  if (ending.kind === 'done' || ending.kind === 'running') {
    const summary = ending.kind === 'done' ? ending.summary : rotation.phase
    out.result(rotation, () => [
      `${rotation.credential}: ${summary}`,
      `  who, why and the evidence, signed: 'keyturn report ${rotation.credential} ${short(rotation.id)}'`,
    ])
    return exitCodes.done
  }
  if (out.isJson) out.result(rotation, () => [])
  const code = ending.kind === 'needs_human' ? 'rotation_halted' : 'rotation_not_running'
  out.error(new KeyturnError(code, `${rotation.credential}: ${ending.summary}`, { fix: ending.fix }))
  return ending.kind === 'needs_human' ? exitCodes.needsHuman : exitCodes.failed
}

/** What was found is the result, whichever way it ended; a failure is told as an error as well. */
function rehearsed(out: Context['out'], rotation: RotationSummary, ending: Ending): ExitCode {
  out.result(rotation, () => renderRehearsal(rotation, out))
  if (ending.kind !== 'needs_human') return exitCodes.done
  const { summary, fix } = ending
  out.error(new KeyturnError('rehearsal_failed', `${rotation.credential}: ${summary}`, { fix }))
  return exitCodes.needsHuman
}

/** Redraws for a person; elsewhere one line for each step, once. */
function createShow({ io, out }: Context): (rotation: RotationSummary) => void {
  const told = new Set<string>()
  return (rotation) => {
    if (out.isLive) {
      out.redraw(renderProgress(rotation, { now: io.now(), paint: out.paint }))
      return
    }
    for (const { id, text } of progressLines(rotation)) {
      if (told.has(id)) continue
      told.add(id)
      out.note(text)
    }
  }
}

// ------------------------------------------------------------------ events

/** Rings the alarm at each event; without a stream the watcher asks more often instead. */
function followEvents(
  { io }: Context,
  api: Api,
  { name, alarm }: { readonly name: string; readonly alarm: Alarm },
): { isOpen(): boolean; stop(): void } {
  const abort = new AbortController()
  let isOpen = false
  let cancelRetry = (): void => undefined
  const follow = (): void => {
    const onEvent = (): void => {
      isOpen = true
      alarm.ring()
    }
    const again = (): void => {
      isOpen = false
      if (!abort.signal.aborted) cancelRetry = io.after(streamAgainMs, follow)
    }
    // Whatever ended the stream, asking goes on without it and says what is wrong with the service.
    void api.follow(name, { onEvent }, abort.signal).then(again, again)
  }
  follow()
  return {
    isOpen: () => isOpen,
    stop() {
      abort.abort()
      cancelRetry()
    },
  }
}
