import type { CredentialSummary } from '../api/types.ts'
import { toKeyturnError } from '../core/errors.ts'
import { createAlarm } from './alarm.ts'
import type { Api } from './api.ts'
import { passesByItself } from './away.ts'
import { type Context, usage } from './command.ts'
import { type EventFeed, followAll } from './event-feed.ts'
import { type ExitCode, exitCodes } from './exit.ts'
import { renderScreen } from './status-screen.ts'
import { renderDetail, renderList } from './summary.ts'

/** How often all is asked for: so that an event that was lost is caught, and where nothing tells of changes. */
const askWithEventsMs = 15_000
const askAloneMs = 2_000
/** With more credentials than streams, the others are asked for this often. */
const askOthersMs = 5_000
/** Events come in bursts: they are answered by one look. */
const burstMs = 150

/** Shows the credentials, or one of them, until somebody ends it. */
export async function watchStatus(context: Context, api: Api, name: string): Promise<ExitCode> {
  const { io, out } = context
  if (!out.isJson && !out.isLive)
    throw usage(
      '--watch draws on a terminal, and this is none',
      'Add --json for one line of each change, or leave --watch out.',
    )
  const look = createLook(api, name)
  await look.all()
  const alarm = createAlarm((delayMs, callback) => io.after(delayMs, callback))
  const changed = new Set<string>()
  const feed = followAll({ io, api }, [...look.known.keys()], (one) => {
    if (one !== undefined) changed.add(one)
    alarm.ring()
  })
  const show = out.isJson ? createLines(context, look.known) : createScreen(context, { look, feed, name })
  let code: ExitCode | undefined
  const end = (with_: ExitCode): void => {
    code ??= with_
    alarm.ring()
  }
  const stops = [
    io.onSignal(() => end(exitCodes.interrupted)),
    io.stderr.onResize(() => alarm.ring()),
    ...(io.stdin.isTerminal && !out.isJson
      ? [
          io.stdin.onKey((key) => {
            if (key === '\u0003') end(exitCodes.interrupted)
            if (key === 'q') end(exitCodes.done)
          }),
        ]
      : []),
  ]
  try {
    let allAt = io.now()
    for (;;) {
      show.update()
      await alarm.wait(pauseMs(look, feed), () => show.pulse())
      if (code !== undefined) return code
      if (changed.size > 0) await alarm.wait(burstMs)
      const isDue = io.now() - allAt >= pauseMs(look, feed)
      await look.guarded(isDue || look.awayAt() !== undefined ? undefined : [...changed], io.now())
      if (isDue) allAt = io.now()
      changed.clear()
    }
  } finally {
    for (const stop of stops) stop()
    feed.stop()
    alarm.cancel()
    show.close()
  }
}

function pauseMs(look: Look, feed: EventFeed): number {
  if (feed.openCount() < feed.size || look.awayAt() !== undefined) return askAloneMs
  return look.known.size > feed.size ? askOthersMs : askWithEventsMs
}

// ------------------------------------------------------------- what is known

interface Look {
  readonly known: ReadonlyMap<string, CredentialSummary>
  all(): Promise<void>
  /** Only these, or all; a service that is away for a moment is waited for. */
  guarded(names: readonly string[] | undefined, now: number): Promise<void>
  readonly awayAt: () => number | undefined
}

function createLook(api: Api, name: string): Look {
  const known = new Map<string, CredentialSummary>()
  let awayAt: number | undefined
  const all = async (): Promise<void> => {
    const found = name === '' ? await api.summaries() : [await api.summary(name)]
    known.clear()
    for (const summary of found) known.set(summary.name, summary)
  }
  return {
    known,
    all,
    async guarded(names, now) {
      try {
        if (names === undefined) await all()
        else if (names.length > 0)
          for (const summary of await api.summariesOf(names)) known.set(summary.name, summary)
        awayAt = undefined
      } catch (thrown) {
        const error = toKeyturnError(thrown, 'asking for the status failed')
        if (!passesByItself(error.code)) throw error
        awayAt ??= now
      }
    },
    awayAt: () => awayAt,
  }
}

// ------------------------------------------------------------ how it is shown

interface Show {
  update(): void
  /** Time has gone by, and nothing else has changed. */
  pulse(): void
  close(): void
}

/** One line of JSON for each credential that is not as it was told last; `credential` is null when it is gone. */
function createLines({ io, out }: Context, known: ReadonlyMap<string, CredentialSummary>): Show {
  const told = new Map<string, string>()
  const tell = (name: string, credential: CredentialSummary | null): void =>
    out.line(JSON.stringify({ at: new Date(io.now()).toISOString(), name, credential }))
  return {
    update() {
      for (const [name, summary] of known) {
        const text = JSON.stringify(summary)
        if (told.get(name) === text) continue
        told.set(name, text)
        tell(name, summary)
      }
      for (const name of told.keys()) {
        if (known.has(name)) continue
        told.delete(name)
        tell(name, null)
      }
    },
    pulse: () => undefined,
    close: () => undefined,
  }
}

function createScreen(
  { io, out }: Context,
  { look, feed, name }: { readonly look: Look; readonly feed: EventFeed; readonly name: string },
): Show {
  const screen = out.screen()
  const view = () => ({ now: io.now(), out: { paint: out.paint, columns: io.stderr.columns } })
  const all = (): readonly CredentialSummary[] => [...look.known.values()]
  const update = (): void => {
    const moment = {
      all: all(),
      isOne: name !== '',
      rows: io.stderr.rows,
      source: sourceOf(feed, look.known.size),
      awayAt: look.awayAt(),
    }
    screen.draw(renderScreen(moment, view()))
  }
  return {
    update,
    pulse: update,
    close() {
      screen.close()
      const [one] = all()
      const lines = name !== '' && one !== undefined ? renderDetail(one, view()) : renderList(all(), view())
      // The last look stays where the command was typed.
      for (const line of lines.slice(0, io.stderr.rows - 1)) out.note(line)
    },
  }
}

function sourceOf(feed: EventFeed, count: number): string {
  const open = feed.openCount()
  if (open < feed.size) return `no events from the service: asked every ${askAloneMs / 1_000} s`
  return count > open ? `live for ${open}, the others asked every ${askOthersMs / 1_000} s` : 'live'
}
