import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CredentialSummary } from '../../src/api/types.ts'
import { openStore } from '../../src/stores/index.ts'
import { createSystem } from '../../src/system.ts'
import { summary, until } from '../system/harness.ts'
import { pause } from './pause.ts'
import { leaks, readable } from './secrecy.ts'
import type { Stage } from './stage.ts'
import type { Story } from './story.ts'

/** After healing: what was given up on is looked for again every few seconds, and each step has a deadline of its own. */
const convergedWithinMs = 90_000
const turnedWithinMs = 60_000
const resumeEveryMs = 2_000
const breathMs = 3_000
/** Less than this in a minute, even on a machine that is busy with other things, shows nothing. */
const leastPerMinute = { promotions: 1, deaths: 0.5, kills: 2, served: 100 }

/** Nothing goes wrong any more; operators do what they are told to, and everything comes to its end. */
export async function converge(
  { rig, presence, operators, observer, truth }: Stage,
  story: Story,
): Promise<void> {
  rig.sandbox.reset()
  await until('the service is there', () => presence.isUp, Boolean, convergedWithinMs)
  story.tell('soak', 'everything is healed')
  const isEnded = (seen: CredentialSummary): boolean =>
    seen.current !== null &&
    (seen.rotation === null || seen.rotation.phase === 'done') &&
    seen.retirements.every(isOver) &&
    truth.alive().every((keyId) => kept(seen).has(keyId))
  let resumedAt = performance.now()
  const look = async (): Promise<CredentialSummary> => {
    const seen = await observer.ask()
    const { rotation } = seen
    const isStuck = rotation?.phase === 'halted' || rotation?.isPaused === true
    if (isStuck && performance.now() - resumedAt > resumeEveryMs) {
      resumedAt = performance.now()
      await operators.resume()
    }
    return seen
  }
  await until('everything has come to its end', look, isEnded, convergedWithinMs).catch((thrown: unknown) =>
    story.object('converged', withoutSeen(thrown)),
  )
}

/** One more, with nothing in its way. */
export async function turnInPeace({ rig, operators, crowd, truth }: Stage, story: Story): Promise<void> {
  const { current } = await summary(rig)
  const before = { refused: truth.refused.length, failed: crowd.counts.failed }
  await operators.rotateInPeace()
  await until(
    'the key was turned and the old one is proven dead',
    () => summary(rig),
    (seen) =>
      seen.current?.version !== current?.version &&
      seen.rotation?.phase === 'done' &&
      seen.retirements.every(isOver),
    turnedWithinMs,
  ).catch((thrown: unknown) => story.object('peace', withoutSeen(thrown)))
  await pause(breathMs)
  truth.collect(Date.now())
  const refused = truth.refused.length - before.refused
  const failed = crowd.counts.failed - before.failed
  if (refused + failed > 0) story.object('peace', `${refused} requests were refused, ${failed} failed`)
}

/** Proven dead, or taken back by a rollback or failover. Which keys live is asked of OpenAI. */
function isOver(retirement: CredentialSummary['retirements'][number]): boolean {
  return retirement.endedAt !== null
}

/** What is alive at OpenAI and may be. */
function kept(seen: CredentialSummary): ReadonlySet<string> {
  const stages = ['current', 'standby']
  return new Set(
    seen.versions.flatMap((one) => (stages.includes(one.stage) && one.keyId !== null ? [one.keyId] : [])),
  )
}

/** When all processes have ended: what they left behind, held against what OpenAI knows. */
export async function lookBack(stage: Stage, story: Story, folder: string): Promise<void> {
  const { rig, truth, observer, crowd } = stage
  for (const record of truth.plannedRefusals())
    story.object('planned', `${record.keyId} at edge ${record.edge}: ${record.requestId}`)
  if (truth.missed > 0) story.object('counted', `the log of OpenAI was read too seldom ${truth.missed} times`)
  if (truth.answered < crowd.served)
    story.object('counted', `${crowd.served} answers in the apps, ${truth.answered} at OpenAI`)

  const { state, rotations, soundness } = observer.readLedger()
  if (soundness !== 'ok') story.object('agreed', `the ledger: ${soundness}`)
  const current = state.versions.filter((one) => one.stage === 'current')
  if (current.length !== 1 || current[0]?.version !== state.current)
    story.object('agreed', `the ledger calls ${current.length} versions current`)
  const inStore = await storeCurrent(rig)
  if (inStore !== state.current)
    story.object('agreed', `the store has ${inStore} for current, the ledger ${state.current}`)
  const may = new Set(
    state.versions
      .filter((one) => one.stage === 'current' || one.stage === 'standby')
      .map((one) => one.meta.keyId),
  )
  for (const keyId of truth.alive()) if (!may.has(keyId)) story.object('orphans', keyId)
  const currentKey = current[0]?.meta.keyId
  if (currentKey === undefined || !truth.alive().includes(currentKey))
    story.object('converged', 'the key that is handed out is not alive')
  for (const one of rotations)
    if (one.phase !== 'done' || one.outcome === undefined)
      story.object(
        'rotations',
        `${one.id} stands in ${one.phase}${one.halt === undefined ? '' : ` (${one.halt.reason})`}`,
      )
  lookThrough(stage, story, folder)
  for (const pid of leftOver(rig.home)) story.object('tidy', `process ${pid} runs on`)
}

/** Whether this soak was one at all. */
export function weigh({ supervisor, crowd, observer }: Stage, story: Story, minutes: number): void {
  const { kills } = supervisor.counts
  const seen = { promotions: observer.promotions, deaths: observer.deaths, kills, served: crowd.served }
  for (const [name, least] of Object.entries(leastPerMinute)) {
    const count = seen[name as keyof typeof seen]
    if (count < Math.floor(least * minutes)) story.object('busy', `only ${count} ${name}`)
  }
}

async function storeCurrent(rig: Stage['rig']): Promise<string | undefined> {
  const context = { system: createSystem(), home: rig.home, env: {}, log: () => undefined }
  const store = await openStore({ kind: 'local', folder: join(rig.home, 'secrets') }, context)
  try {
    return (await store.describe('openai'))?.current
  } finally {
    await store.close()
  }
}

function lookThrough({ canaries, supervisor, crowd, operators }: Stage, story: Story, folder: string): void {
  const shown = new Map([
    ['the service', supervisor.shown],
    ['the apps', crowd.shown],
    ['commands', operators.shown],
  ])
  const texts = readable(folder, shown)
  for (const leak of leaks(canaries, texts)) story.object('secrets', leak)
  for (const name of [
    'file home/ledger.db',
    'file service.log',
    'file operators.log',
    '/proc of the service',
  ])
    if ((texts.get(name)?.length ?? 0) < 100) story.object('secrets', `${name} was not looked through`)
  for (const [where, text] of texts)
    if (/"code":"internal"|invariant broken|UnhandledPromiseRejection|^ {4}at /m.test(text))
      story.object('faults', where)
}

/** Processes that know of this soak by their environment, this one excepted. */
function leftOver(home: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').includes(home)
    } catch {
      // Somebody else's, or it has just ended.
      return false
    }
  })
}

/** What was seen last is told as what is pending. */
function withoutSeen(thrown: unknown): string {
  return messageOf(thrown).split('; last seen')[0] ?? ''
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
