import type { System } from '../core/ports.ts'
import type { RunningService } from '../engine/service.ts'

/** How long is waited for the next key where the one that was known turns out to be refused. */
const nextKeyMs = 5_000

/**
 * Makes what is known of a credential as young as in a process that was never frozen: platforms of functions stop all
 * timers between two calls, so that the checks which are due every few minutes may be hours late when the next call comes.
 * Looks at the store and asks the issuer where the last check is older than they are apart; else nothing is done.
 */
export async function freshen(
  name: string,
  {
    service,
    system,
    verifyEveryMs,
  }: { readonly service: RunningService; readonly system: System; readonly verifyEveryMs: number },
): Promise<void> {
  const { current } = await service.summary(name)
  const checkedAt = current?.check?.checkedAt
  if (checkedAt === undefined || system.now() - Date.parse(checkedAt) < verifyEveryMs) return
  const checked = await service.verify(name, { name: 'this process' })
  if (checked.current?.check?.verdict === 'rejected')
    await anotherKey(name, current?.version, service, system)
}

/** One refusal is no proof: until there is a second one, and another key has been proven, the old one is handed out. */
function anotherKey(
  name: string,
  old: string | undefined,
  service: RunningService,
  system: System,
): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stopListening()
      cancel()
      resolve()
    }
    const look = (): void => {
      const given = service.handOut(name)
      if (given?.kind === 'available' && given.version !== old) end()
    }
    const cancel = system.after(nextKeyMs, end, { background: true })
    const stopListening = service.onHandOut(look)
    look()
  })
}
