import type { Client } from 'pg'
import type { Cancel, Ledger, Log, Random, Timers } from '../core/ports.ts'
import type { CredentialName } from '../core/types.ts'
import type { KnownStates } from './known-states.ts'
import type { Database } from './postgres-connection.ts'

/** Between two proofs that the listening connection is alive: a network that drops everything tells nobody. */
const proveEveryMs = 5_000
const againMsMin = 100
const againMsMax = 10_000

export interface WatchOptions {
  readonly ready: () => Promise<Database>
  readonly channel: string
  readonly known: KnownStates
  readonly system: Timers & Random
  readonly log: Log
}

/**
 * Tells of what other replicas commit. One connection listens for all; when it is lost it is made anew, with growing
 * pauses, and everything that changed meanwhile is told then. What this process commits itself is not told.
 */
export function watching(options: WatchOptions): {
  readonly watch: NonNullable<Ledger['watch']>
  readonly stop: () => Promise<void>
} {
  const listeners = new Set<(name: CredentialName) => void>()
  let following: Promise<void> | undefined
  let isStopped = false
  let interrupt: () => void = () => undefined

  function tell(name: CredentialName): void {
    for (const listener of listeners) listener(name)
  }

  async function follow(): Promise<void> {
    for (let failures = 0; !isStopped; failures++) {
      try {
        const isHeard = await listen(() => (failures = 0))
        if (isStopped || isHeard === 'stopped') return
        options.log('warn', 'the ledger no longer tells of changes by other replicas; connecting anew')
      } catch (thrown) {
        if (isStopped) return
        options.log('warn', 'changes by other replicas cannot be heard of; trying again', { error: thrown })
      }
      const longest = Math.min(againMsMax, againMsMin * 2 ** Math.min(failures, 10))
      await pause(longest * (0.5 + options.system.fraction() / 2))
    }
  }

  /** Resolves when the connection has ended. */
  async function listen(onHeard: () => void): Promise<'ended' | 'stopped'> {
    const database = await options.ready()
    const client = await database.connect()
    try {
      const ended = new Promise<'ended'>((resolve) => client.once('end', () => resolve('ended')))
      client.on('error', () => void client.end().catch(() => undefined))
      client.on('notification', ({ processId, payload }) => {
        if (payload !== undefined && !database.isOwn(processId)) tell(payload)
      })
      await client.query(`LISTEN "${options.channel}"`)
      await tellMissed(client)
      onHeard()
      for (;;) {
        const first = await Promise.race([ended, pause(proveEveryMs)])
        if (isStopped) return 'stopped'
        if (first === 'ended') return 'ended'
        await client.query('SELECT 1')
      }
    } catch (thrown) {
      throw database.explain(thrown)
    } finally {
      client.removeAllListeners('notification')
      void client.end().catch(() => undefined)
    }
  }

  /** What has another revision than we last saw, changed while nobody listened here. */
  async function tellMissed(client: Client): Promise<void> {
    const { rows } = await client.query<{ name: string; revision: string }>(
      'SELECT name, revision FROM credentials',
    )
    for (const { name, revision } of rows)
      if (options.known.get(name, Number(revision)) === undefined) tell(name)
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel: Cancel = options.system.after(delayMs, resolve, { background: true })
      interrupt = () => {
        cancel()
        resolve()
      }
    })
  }

  return {
    watch(onChange) {
      listeners.add(onChange)
      following ??= follow()
      return () => listeners.delete(onChange)
    },
    async stop() {
      isStopped = true
      interrupt()
      await following
    },
  }
}
