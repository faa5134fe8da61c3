import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository, type Scope } from '../../bench/lib/processes.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { diceOf } from '../sim/dice.ts'
import { Canaries } from '../system/canaries.ts'
import { runCli } from '../system/cli.ts'
import { layRig, type Rig, until } from '../system/harness.ts'
import { Crowd } from './crowd.ts'
import { Killer } from './killer.ts'
import { Moods } from './moods.ts'
import { Observer } from './observer.ts'
import { Operators } from './operators.ts'
import type { SoakOptions } from './options.ts'
import { Presence } from './presence.ts'
import type { Story } from './story.ts'
import { Supervisor } from './supervisor.ts'
import { Truth } from './truth.ts'

/** Short enough that ten minutes see dozens of whole rotations, long enough that every phase is a real one. */
const policy = {
  overlap: '5s',
  quiet: '1s',
  drainLimit: '1m',
  provingCount: 3,
  provingSettle: '800ms',
  activationGrace: '20s',
  phaseDeadline: '60s',
  retryBase: '50ms',
  retryMax: '1s',
  verifyEvery: '2s',
  verifyCloselyEvery: '1s',
  verifyCloselyFor: '5s',
  deadProbes: 3,
  deadSpan: '500ms',
  deadLimit: '1m',
  storePoll: '2s',
  automaticPerDay: 24,
}

/** What a first key of OpenAI's and a place for it take at most. */
const readyWithinMs = 30_000
const restartMsMax = 1_500

export interface Stage {
  readonly rig: Rig
  readonly canaries: Canaries
  readonly truth: Truth
  readonly presence: Presence
  readonly supervisor: Supervisor
  readonly crowd: Crowd
  readonly killer: Killer
  readonly moods: Moods
  readonly operators: Operators
  readonly observer: Observer
}

/** A sandbox of OpenAI in this process, which nobody kills; the built service and the apps in processes of their own. */
export async function setStage(
  options: SoakOptions,
  { folder, story, scope }: { readonly folder: string; readonly story: Story; readonly scope: Scope },
): Promise<Stage> {
  const dice = diceOf(options.seed)
  const canaries = new Canaries()
  const sandbox = await startSandbox({
    random: canaries.random,
    stateFile: join(folder, 'sandbox.json'),
    knobs: { latencyMs: 5, streamChunkDelayMs: 25 },
  })
  scope.add(() => sandbox.close())
  const home = join(folder, 'home')
  mkdirSync(home, { mode: 0o700 })
  const laid = await layRig(sandbox, home, {
    policy,
    credential: () => [
      'store: { kind: local }',
      `issuer: { kind: openai, baseUrl: "${sandbox.baseUrl}", project: ${sandbox.project}, serviceAccount: ${sandbox.serviceAccount}, timeout: 2s, adminKey: { file: ${home}/admin.key } }`,
      `expected: { organization: ${sandbox.organization}, project: ${sandbox.project} }`,
      'schedule: none',
    ],
  })
  // The admin key comes from a file: what stands in the environment is seen by everybody who may look at the process.
  const { OPENAI_ADMIN_KEY: _adminKey, ...env } = laid.env
  const rig: Rig = { ...laid, env }
  writeFileSync(join(home, 'admin.key'), sandbox.adminKey(), { mode: 0o600 })
  const program = join(repository, 'bin', 'keyturn.js')
  const tokenFile = join(home, 'app.token')
  const token = await runCli(rig, ['token', 'create', 'soak', '--local'], { program })
  if (token.code !== 0) throw new Error(`no token could be made for the apps: ${token.err}`)
  writeFileSync(tokenFile, token.out, { mode: 0o600 })
  canaries.add(token.out.trim(), 'kt_app_')

  const truth = new Truth(sandbox)
  const presence = new Presence()
  const restart = dice.stream('restart')
  const logFile = (name: string): string => join(folder, `${name}.log`)
  const supervisor = new Supervisor({
    rig,
    program,
    logFile: logFile('service'),
    story,
    presence,
    restartMs: () => restart.between(0, restartMsMax),
  })
  const crowd = new Crowd({
    rig,
    size: options.apps,
    rate: options.rate,
    tokenFile,
    logFile: logFile('apps'),
    story,
    truth,
    presence,
  })
  const everyMs = options.killEvery * 1000
  const killer = new Killer({ supervisor, crowd, dice: dice.stream('killer'), everyMs })
  const moods = new Moods({ rig, story, truth, killer, dice: dice.stream('moods') })
  const operators = new Operators({
    rig,
    program,
    logFile: logFile('operators'),
    story,
    truth,
    dice: dice.stream('operators'),
  })
  const observer = new Observer({ rig, story, truth })
  supervisor.onLine((line) => observer.onLine(line))
  scope.add(async () => void (await supervisor.stop()))
  supervisor.start()
  await until('the service is there', () => presence.isUp, Boolean, readyWithinMs)
  canaries.add(rig.operatorToken(), 'kt_op_')
  scope.add(() => crowd.stop())
  return { rig, canaries, truth, presence, supervisor, crowd, killer, moods, operators, observer }
}
