import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import type { Output } from './output.ts'

/** Resolves at the first SIGINT or SIGTERM; a second one, while `stop` is at work, ends the process at once. */
export function signals(io: Io, out: Output): { readonly first: Promise<void>; readonly ignore: () => void } {
  let count = 0
  let onFirst = (): void => undefined
  const first = new Promise<void>((resolve) => {
    onFirst = resolve
  })
  const ignore = io.onSignal((signal) => {
    count += 1
    if (count > 1) {
      io.exit(exitCodes.interrupted)
      return
    }
    out.note(`${signal}: ending what is in flight; once more ends at once`)
    onFirst()
  })
  return { first, ignore }
}
