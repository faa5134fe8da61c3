import { errnoOf } from '../core/errno.ts'

/** Sends it to a process, or to a process group by its negative number; where that is gone or another user's, nothing happens. */
export function sendSignal(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal)
  } catch (error) {
    // ESRCH: gone. EPERM: it took another user's rights (sudo), who alone may signal it.
    const code = errnoOf(error)
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
