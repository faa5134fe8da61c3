import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closing } from '../../bench/lib/processes.ts'
import { median, quantile } from '../../bench/lib/statistics.ts'
import { summary } from '../system/harness.ts'
import { converge, lookBack, messageOf, turnInPeace, weigh } from './ending.ts'
import type { SoakOptions } from './options.ts'
import { type Stage, setStage } from './stage.ts'
import { Story, type Violation } from './story.ts'

/** OpenAI's log holds the latest 2,000 requests. */
const collectMs = 250
/** By then it is known what became of a request and of the key that it had. */
const judgedAfterMs = 10_000

export interface Outcome {
  readonly story: Story
  readonly figures: readonly string[]
  /** What was going on at the end, where something went wrong. */
  readonly pending: readonly string[]
  /** It got as far as looking back, so that a check without a complaint has passed. */
  readonly isWhole: boolean
}

export interface Watcher {
  /** Called every few seconds with what was counted so far. */
  readonly onProgress: (line: string) => void
  readonly onViolation: (violation: Violation) => void
  readonly everyMs: number
}

/** Everything that a soak leaves on the disk. Removed where all was well. */
export function soakFolder(): string {
  return mkdtempSync(join(tmpdir(), 'keyturn-soak-'))
}

/** Plays a soak to its end, whatever happens. The signal makes the end come sooner, and leaves the checks out. */
export async function playSoak(
  options: SoakOptions,
  {
    folder,
    watcher,
    signal,
  }: { readonly folder: string; readonly watcher: Watcher; readonly signal: AbortSignal },
): Promise<Outcome> {
  const story = new Story(() => Date.now(), watcher.onViolation)
  let stage: Stage | undefined
  let pending: readonly string[] = []
  let isWhole = false
  try {
    await closing(async (scope) => {
      stage = await setStage(options, { folder, story, scope })
      pending = await perform(stage, { options, story, watcher, signal })
    })
    if (stage !== undefined && !signal.aborted) {
      await lookBack(stage, story, folder)
      weigh(stage, story, options.minutes)
      isWhole = true
    }
  } catch (thrown) {
    story.object('converged', messageOf(thrown))
  }
  if (story.isWell && !signal.aborted) rmSync(folder, { recursive: true, force: true })
  return { story, figures: stage === undefined ? [] : figuresOf(stage), pending, isWhole }
}

/** Everything between the first process and the last. Tells what was pending where it did not come to its end. */
async function perform(
  stage: Stage,
  {
    options,
    story,
    watcher,
    signal,
  }: { options: SoakOptions; story: Story; watcher: Watcher; signal: AbortSignal },
): Promise<readonly string[]> {
  const { crowd, killer, moods, operators, observer, supervisor, truth } = stage
  const startedAt = performance.now()
  const over = new AbortController()
  const collecting = setInterval(() => {
    const now = Date.now()
    truth.collect(now)
    crowd.judge(now - judgedAfterMs)
  }, collectMs)
  const telling = setInterval(
    () => watcher.onProgress(progressOf(stage, story, (performance.now() - startedAt) / 1000)),
    watcher.everyMs,
  )
  try {
    crowd.start()
    const whole = AbortSignal.any([signal, over.signal])
    const watching = Promise.all([observer.watch(whole), crowd.dropLeases(whole)])
    const chaos = AbortSignal.any([signal, AbortSignal.timeout(options.minutes * 60_000)])
    await Promise.all([killer.work(chaos), moods.swing(chaos), operators.work(chaos)])
    if (!signal.aborted) await converge(stage, story)
    if (!signal.aborted) await turnInPeace(stage, story)
    const pending = story.isWell ? [] : await pendingOf(stage)
    over.abort()
    await watching
    await crowd.stop()
    truth.collect(Date.now())
    crowd.judge(Number.POSITIVE_INFINITY, true)
    if (!(await supervisor.stop())) story.object('tidy', 'the service did not end when it was told to')
    return pending
  } finally {
    over.abort()
    clearInterval(collecting)
    clearInterval(telling)
  }
}

/** Asked while the service still runs. */
async function pendingOf({ rig }: Stage): Promise<readonly string[]> {
  const seen = await summary(rig).catch(() => undefined)
  if (seen === undefined) return ['the service does not answer']
  const { rotation, retirements, troubles } = seen
  return [
    ...(rotation === null || rotation.phase === 'done'
      ? []
      : [`rotation ${rotation.id}: ${rotation.phase} ${rotation.halt?.summary ?? ''}`]),
    ...retirements
      .filter((one) => one.phase !== 'dead')
      .map((one) => `retirement of ${one.version}: ${one.phase} ${one.heldBy ?? ''}`),
    ...troubles.map((one) => `${one.code}: ${one.summary}`),
  ]
}

function progressOf({ supervisor, crowd, observer, truth }: Stage, story: Story, seconds: number): string {
  const { kills, freezes } = supervisor.counts
  return [
    `${Math.round(seconds)} s`,
    `${observer.promotions} rotations`,
    `${observer.deaths} deaths proven`,
    `${kills} kills, ${freezes} freezes`,
    `${crowd.served} requests`,
    `${truth.refused.length} refused`,
    `${sum(crowd.excused.values())} failed (excused)`,
    `${sum(story.counts.values())} broken`,
  ].join('  ')
}

function figuresOf({
  supervisor,
  crowd,
  observer,
  operators,
  moods,
  killer,
  truth,
}: Stage): readonly string[] {
  const { starts, kills, freezes, terminations } = supervisor.counts
  const { made, dead } = truth.made()
  const counted = (all: ReadonlyMap<string, number>): string =>
    [...all].map(([name, count]) => `${count} ${name}`).join(', ') || 'none'
  const spread = (all: readonly number[]): string =>
    `median ${Math.round(median(all))} ms, p99 ${Math.round(quantile(all, 0.99))} ms`
  return [
    `requests: ${crowd.served} served, ${crowd.streamed} of them streamed; ${truth.refused.length} refused for their key and mended or excused`,
    `failed and excused: ${counted(crowd.excused)}`,
    `rotations: ${observer.promotions} promoted, ${observer.deaths} old keys proven dead; keys: ${made} made, ${dead} dead`,
    `service: ${starts} starts, ${kills} SIGKILL, ${freezes} SIGSTOP, ${terminations} SIGTERM; in a phase: ${counted(killer.hits)}`,
    `from its start to its first answer: ${spread(supervisor.startMs)}`,
    `apps: ${crowd.counts.starts} starts, ${crowd.counts.kills} SIGKILL; to the first key: ${spread(crowd.firstKeyMs)}`,
    `commands: ${counted(operators.counts)}`,
    `OpenAI: ${counted(moods.counts)}`,
  ]
}

function sum(all: Iterable<number>): number {
  return [...all].reduce((total, one) => total + one, 0)
}
