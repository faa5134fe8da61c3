import type { System } from '../core/ports.ts'
import type { HandOut, NoHandOut } from '../engine/service.ts'
import { packageVersion } from '../package-folder.ts'
import { createSystem } from '../system.ts'
import { composeService, type Environment } from './compose.ts'
import { loadFrom } from './configuration.ts'
import { freshen } from './freshen.ts'
import { loadLedger } from './ledger.ts'
import { logTo } from './log-to.ts'

export interface Embedded {
  handOut(): HandOut | NoHandOut | undefined
  onHandOut(listener: () => void): () => void
  report(refusal: {
    readonly version: string
    readonly status: number
    readonly code?: string
    readonly requestId?: string
  }): Promise<{ generation: number; version: string | null; verdict: string }>
  /** Where the process may have been frozen: what is known is made as young as it would be. */
  freshen(): Promise<void>
  stop(): Promise<void>
}

/** For apps without a service: the key is verified, cached and failed over in this process, and never turned. */
export async function openEmbedded(options: {
  readonly credential: string
  readonly env: Environment
  readonly cwd?: string
  readonly system?: System
}): Promise<Embedded> {
  const system = backgroundOnly(options.system ?? createSystem())
  const all = await loadFrom({ env: options.env, cwd: options.cwd ?? process.cwd() })
  const isAsked = (one: { readonly name: string }): boolean => one.name === options.credential
  const federated = (all.federated ?? []).filter(isAsked)
  const config = { ...all, credentials: all.credentials.filter(isAsked), federated }
  const log = logTo({ log: { level: 'error', format: 'text' } }, system)
  // A ledger of its own that ends with the process, whatever the service keeps: nothing of an app may wait for it.
  const [openLedger, { createBeat }] = await Promise.all([
    loadLedger(undefined),
    import('./embedded-beat.ts'),
  ])
  const { ledger, owner } = openLedger({ file: ':memory:', env: options.env, system, log })
  const service = await composeService({
    config,
    system,
    log,
    env: options.env,
    ledger,
    owner,
    beat: createBeat(system),
    version: packageVersion(),
    isSandbox: false,
    isReadOnly: true,
  })
  const name = options.credential
  return {
    handOut: () => service.handOut(name),
    onHandOut: (listener) => service.onHandOut(() => listener()),
    report: (refusal) => service.report(name, refusal, { name: 'this process' }),
    // Tokens that are exchanged tell themselves how long they may be kept.
    freshen: async () => {
      const verifyEveryMs = config.credentials[0]?.policy.verifyEveryMs
      if (verifyEveryMs !== undefined) await freshen(name, { service, system, verifyEveryMs })
    },
    stop: () => service.stop(),
  }
}

/** Nothing that Keyturn does in an app's process may keep that process from ending. */
function backgroundOnly(system: System): System {
  return { ...system, after: (delayMs, callback) => system.after(delayMs, callback, { background: true }) }
}
