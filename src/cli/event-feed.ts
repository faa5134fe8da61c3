import type { Api } from './api.ts'
import type { Io } from './io.ts'

/** Connections that are held open at once: there is one stream for each credential. */
const streamsMax = 50
/** A stream that ended is opened again after this long. */
const streamAgainMs = 2_000

/** Events of several credentials. */
export interface EventFeed {
  /** How many streams are wanted. */
  readonly size: number
  /** How many of them are open now. */
  openCount(): number
  stop(): void
}

/** Calls back with the name of the credential at each event, and with none when a stream has come or gone. */
export function followAll(
  { io, api }: { readonly io: Pick<Io, 'after'>; readonly api: Pick<Api, 'follow'> },
  names: readonly string[],
  onChange: (name: string | undefined) => void,
): EventFeed {
  const abort = new AbortController()
  const open = new Set<string>()
  const retries = new Map<string, () => void>()
  const follow = (name: string): void => {
    const onOpen = (): void => {
      open.add(name)
      onChange(undefined)
    }
    const again = (): void => {
      if (abort.signal.aborted) return
      if (open.delete(name)) onChange(undefined)
      retries.set(
        name,
        io.after(streamAgainMs, () => follow(name)),
      )
    }
    // Whatever ended the stream, asking goes on without it and says what is wrong with the service.
    void api.follow(name, { onOpen, onEvent: () => onChange(name) }, abort.signal).then(again, again)
  }
  const followed = names.slice(0, streamsMax)
  for (const name of followed) follow(name)
  return {
    size: followed.length,
    openCount: () => open.size,
    stop() {
      abort.abort()
      for (const cancel of retries.values()) cancel()
    },
  }
}
