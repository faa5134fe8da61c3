import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Cancel, System } from '../core/ports.ts'

/** A burst of events, such as the steps of one symlink swap, is told once. */
const debounceMs = 50
/** What no event tells (network mounts, a link whose target moved elsewhere) is seen this late. */
export const pollMs = 5_000

/**
 * Calls back soon after what is under the path changed, also through a symlink swap. Watches the folder, not the file:
 * a file that is replaced by a rename is a different one afterwards, and a watch on the old one stays silent for good.
 */
export function watchPath(path: string, onChange: () => void, system: System): Cancel {
  let isOver = false
  let watcher: FSWatcher | undefined
  let cancelDebounce: Cancel | undefined
  let cancelPoll: Cancel | undefined
  let seen: string | undefined

  const look = async (): Promise<void> => {
    const now = await signatureOf(path)
    if (isOver || now === seen) return
    const isFirst = seen === undefined
    seen = now
    if (!isFirst) onChange()
  }
  const lookSoon = (): void => {
    cancelDebounce?.()
    cancelDebounce = system.after(debounceMs, () => void look(), { background: true })
  }
  const attach = (): void => {
    watcher ??= watchFolder(dirname(path), lookSoon, () => {
      watcher = undefined
    })
  }
  const poll = (): void => {
    attach()
    cancelPoll = system.after(pollMs, () => void look().then(() => (isOver ? undefined : poll())), {
      background: true,
    })
  }

  void look()
  poll()
  return () => {
    isOver = true
    watcher?.close()
    cancelDebounce?.()
    cancelPoll?.()
  }
}

function watchFolder(folder: string, onEvent: () => void, onEnd: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent)
    watcher.on('error', () => {
      watcher.close()
      onEnd()
    })
    return watcher
  } catch {
    // No such folder yet, or no watches left on this machine: the poll goes on and tries again.
    return undefined
  }
}

/** Which file it is and which state it is in, through every link on the way. */
async function signatureOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}`
  } catch {
    return 'absent'
  }
}
