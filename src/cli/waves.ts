import type { CredentialSummary, RotationRequest, RotationSummary } from '../api/types.ts'
import { KeyturnError, toKeyturnError } from '../core/errors.ts'
import type { Api } from './api.ts'
import { passesByItself } from './away.ts'
import type { Context } from './command.ts'
import { type ExitCode, exitCodeOf, exitCodes } from './exit.ts'
import { endingOf } from './progress.ts'

/** How often the members of a wave are looked at: one request for all of them. */
const lookMs = 1_000
/** A service that is started anew is waited for this long. */
const unreachableMsMax = 120_000

export interface WavesPlan {
  readonly names: readonly string[]
  readonly skipped: readonly Skipped[]
  readonly size: number
  readonly pauseMs: number
  /** Not only promoted: until each old key is proven dead. */
  readonly isWaiting: boolean
  readonly request: RotationRequest
  /** When the first wave began, of this run or of the one that is repeated. */
  readonly since: string
}

export interface Skipped {
  readonly name: string
  readonly why: string
}

interface Failure {
  readonly name: string
  readonly error: KeyturnError
}

type Member = { readonly name: string; state: string } & (
  | { readonly kind: 'waiting' | 'done' }
  | { readonly kind: 'running'; readonly id: string }
  | { readonly kind: 'failed'; readonly error: KeyturnError }
)

/**
 * Turns many credentials, so many at a time. The next wave begins when every member of the one before has got through;
 * the first that has not ends it, with the others of its wave seen to their ends. What runs is the service's: whoever
 * stops this stops only the beginning of more.
 */
export async function turnInWaves(context: Context, api: Api, plan: WavesPlan): Promise<ExitCode> {
  const { io, out } = context
  const members = new Map<string, Member>(
    plan.names.map((name) => [name, { name, kind: 'waiting', state: 'waiting' }]),
  )
  const show = createShow(context, { members, plan })
  const bell = createBell(context)
  const stopSignals = io.onSignal(() => bell.stop())
  const skipped = [...plan.skipped]
  try {
    for (let from = 0; from < plan.names.length && !bell.isStopped(); from += plan.size) {
      const wave = plan.names.slice(from, from + plan.size)
      await beginWave(wave, { api, plan, members, skipped, isStopped: bell.isStopped, show })
      await untilOver(wave, { context, api, plan, members, bell, show })
      if (failureIn(members) !== undefined) break
      const isLast = from + plan.size >= plan.names.length
      if (!isLast && plan.pauseMs > 0 && !bell.isStopped()) {
        out.note(`the next wave begins in ${Math.round(plan.pauseMs / 1_000)} s`)
        await bell.wait(plan.pauseMs)
      }
    }
  } finally {
    stopSignals()
  }
  return report(context, plan, { members, skipped, isStopped: bell.isStopped() })
}

interface Running {
  readonly api: Api
  readonly plan: WavesPlan
  readonly members: Map<string, Member>
  readonly show: () => void
}

async function beginWave(
  wave: readonly string[],
  {
    api,
    plan,
    members,
    skipped,
    isStopped,
    show,
  }: Running & { readonly skipped: Skipped[]; readonly isStopped: () => boolean },
): Promise<void> {
  const known = new Map((await api.summariesOf(wave)).map((one) => [one.name, one]))
  for (const name of wave) {
    if (isStopped()) return
    try {
      const running = alreadyRunning(known.get(name), plan.request)
      const rotation = running ?? (await api.rotate(name, plan.request))
      // An exchange of a workload identity is over when it is answered.
      const member: Member =
        rotation.endedAt === null
          ? { name, kind: 'running', id: rotation.id, state: rotation.phase }
          : { name, kind: 'done', state: rotation.outcome ?? 'done' }
      members.set(name, member)
    } catch (thrown) {
      const error = toKeyturnError(thrown, `turning ${name} failed`)
      if (cannotBeTurned(error)) {
        skipped.push({ name, why: whyNot(name, error) })
        members.delete(name)
      } else {
        members.set(name, { name, kind: 'failed', error, state: error.code })
        show()
        return
      }
    }
    show()
  }
}

/** Begun by whoever was stopped before: it is waited for, and not begun again. */
function alreadyRunning(
  summary: CredentialSummary | undefined,
  request: RotationRequest,
): RotationSummary | undefined {
  const rotation = summary?.rotation
  const isSame = rotation?.endedAt === null && rotation.mode === (request.mode ?? 'normal')
  return isSame && rotation.halt === null ? rotation : undefined
}

/** Not a failure of this rotation: they are turned in another way, at another time, or not at all. */
function cannotBeTurned({ code }: KeyturnError): boolean {
  return code === 'store_read_only' || code === 'issuer_cannot_mint' || code === 'blackout'
}

/** The name stands before it already. */
function whyNot(name: string, { code, message }: KeyturnError): string {
  if (code !== 'blackout') return message
  return `${message.replace(`${name} is `, '').replace(/\.$/, '')} (--in-blackout turns it all the same)`
}

async function untilOver(
  wave: readonly string[],
  { context, api, plan, members, bell, show }: Running & { readonly context: Context; readonly bell: Bell },
): Promise<void> {
  const { io } = context
  let giveUpAt = io.now() + unreachableMsMax
  for (;;) {
    const running = wave.filter((name) => members.get(name)?.kind === 'running')
    if (running.length === 0 || bell.isStopped()) return
    await bell.wait(lookMs)
    if (bell.isStopped()) return
    try {
      for (const summary of await api.summariesOf(running)) await look(summary, { api, plan, members })
      giveUpAt = io.now() + unreachableMsMax
    } catch (thrown) {
      const error = toKeyturnError(thrown, 'asking for the rotations failed')
      const isAway = passesByItself(error.code)
      if (!isAway || io.now() >= giveUpAt) throw error
    }
    show()
  }
}

async function look(
  summary: CredentialSummary,
  { api, plan, members }: Pick<Running, 'api' | 'plan' | 'members'>,
): Promise<void> {
  const { name } = summary
  const member = members.get(name)
  if (member?.kind !== 'running') return
  const shown = summary.rotation
  // Another one has begun since: ours has ended.
  const rotation = shown?.id === member.id ? shown : await api.rotation(name, member.id)
  const ending = endingOf(rotation)
  const state = rotation.retirement === null ? rotation.phase : `old key ${rotation.retirement.phase}`
  if (ending.kind === 'needs_human' || ending.kind === 'failed') {
    const code = rotation.outcome === 'rehearsal_failed' ? 'rehearsal_failed' : 'rotation_halted'
    const error = new KeyturnError(code, ending.summary, { fix: ending.fix })
    members.set(name, { name, kind: 'failed', error, state: 'failed' })
  } else if (ending.kind === 'done' || (rotation.outcome === 'promoted' && !plan.isWaiting)) {
    members.set(name, { name, kind: 'done', state: rotation.outcome ?? 'done' })
  } else members.set(name, { ...member, state })
}

function failureIn(members: ReadonlyMap<string, Member>): Failure | undefined {
  for (const member of members.values())
    if (member.kind === 'failed') return { name: member.name, error: member.error }
  return undefined
}

function report(
  { out }: Context,
  plan: WavesPlan,
  ended: {
    readonly members: ReadonlyMap<string, Member>
    readonly skipped: readonly Skipped[]
    readonly isStopped: boolean
  },
): ExitCode {
  const all = [...ended.members.values()]
  const namesOf = (kind: Member['kind']): string[] =>
    all.filter((one) => one.kind === kind).map(({ name }) => name)
  const [done, running, notBegun] = [namesOf('done'), namesOf('running'), namesOf('waiting')]
  const failed = all.flatMap((one) => (one.kind === 'failed' ? [one] : []))
  const { since } = plan
  const verb = plan.request.mode === 'rehearsal' ? 'rehearsed' : 'turned'
  out.result(
    {
      since,
      done,
      running,
      skipped: ended.skipped,
      failed: failed.map(({ name, error: { code, message, fix } }) => ({
        name,
        code,
        message,
        fix: fix ?? null,
      })),
      notBegun,
    },
    () => [
      `${verb}: ${done.length}${listed(done)}`,
      ...(running.length === 0 ? [] : [`still running: ${running.length}${listed(running)}`]),
      ...ended.skipped.map(({ name, why }) => `skipped: ${name}: ${why}`),
      ...(notBegun.length === 0 ? [] : [`not begun: ${notBegun.length}${listed(notBegun)}`]),
      ...(notBegun.length === 0 ? [] : [`go on with the same command and --since ${since}`]),
      ...(running.length === 0
        ? []
        : ["what runs goes on without this command: see 'keyturn status --watch'"]),
    ],
  )
  for (const { name, error } of failed)
    out.error(
      new KeyturnError(
        error.code,
        `${name}: ${error.message}`,
        error.fix === undefined ? {} : { fix: error.fix },
      ),
    )
  const [first] = failed
  if (first !== undefined) return exitCodeOf(first.error.code)
  return ended.isStopped ? exitCodes.interrupted : exitCodes.done
}

const listedMax = 10

function listed(names: readonly string[]): string {
  if (names.length === 0) return ''
  return ` (${names.slice(0, listedMax).join(', ')}${names.length > listedMax ? ', …' : ''})`
}

/** One table, redrawn for a person; elsewhere one line for each change. Only what has begun is in it. */
function createShow(
  { out }: Context,
  { members, plan }: { readonly members: ReadonlyMap<string, Member>; readonly plan: WavesPlan },
): () => void {
  const rowsMax = 30
  const told = new Map<string, string>()
  return () => {
    const begun = [...members.values()].filter(({ kind }) => kind !== 'waiting')
    if (out.isLive) {
      const rows = begun.slice(-rowsMax).map(({ name, state }) => [name, state])
      const waves = Math.ceil(plan.names.length / plan.size)
      const wave = Math.ceil((begun.length + plan.names.length - members.size) / plan.size)
      const over = begun.filter(({ kind }) => kind === 'done').length
      out.redraw([
        `wave ${wave} of ${waves}: ${begun.length} of ${members.size} begun, ${over} done`,
        ...out.table(rows),
      ])
      return
    }
    for (const { name, state } of begun) {
      if (told.get(name) === state) continue
      told.set(name, state)
      out.note(`${name}: ${state}`)
    }
  }
}

interface Bell {
  /** Resolves after the time, or as soon as it is stopped. */
  wait(ms: number): Promise<void>
  stop(): void
  readonly isStopped: () => boolean
}

function createBell({ io }: Pick<Context, 'io'>): Bell {
  let isStopped = false
  let wake: () => void = () => undefined
  return {
    async wait(ms) {
      if (isStopped) return
      await new Promise<void>((resolve) => {
        const cancel = io.after(ms, resolve)
        wake = () => {
          cancel()
          resolve()
        }
      })
    },
    stop() {
      isStopped = true
      wake()
    },
    isStopped: () => isStopped,
  }
}
