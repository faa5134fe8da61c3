import { expect, it } from 'vitest'
import type { Program, ProgramEvents } from '../../../src/cli/exec/program.ts'
import { type SuperviseOptions, supervise } from '../../../src/cli/exec/supervise.ts'
import { credentialOf } from '../credential.ts'

class Rig {
  /** What happened, in its order. */
  readonly story: string[] = []
  events: ProgramEvents | undefined
  readonly #timers: (() => void)[] = []

  run(change: Partial<SuperviseOptions> = {}) {
    const first = credentialOf({ generation: 3 })
    const letGo = () => void this.story.push('lets go')
    const program: Program = { pid: 7, send: () => undefined, kill: () => undefined, letGo }
    return supervise({
      open: {
        held: () => first,
        onChange: () => () => undefined,
        use: (generation) => {
          this.story.push(`uses ${generation}`)
          return () => void this.story.push(`no more ${generation}`)
        },
      },
      first,
      policy: {
        onRotation: 'restart',
        rotationSignal: 'SIGHUP',
        stopSignal: 'SIGTERM',
        graceMs: 1_000,
        spreadMs: 0,
      },
      start: (_credential, events) => {
        this.events = events
        events.onStarted(program)
      },
      onSignal: () => () => undefined,
      numberOf: () => 15,
      isShared: () => false,
      stopSelf: () => undefined,
      isNobodyLeft: () => true,
      leave: async () => void this.story.push('leaves'),
      now: () => 0,
      fraction: () => 0,
      after: (_delayMs, callback) => {
        this.#timers.push(callback)
        return () => undefined
      },
      say: () => undefined,
      ...change,
    })
  }

  letTimePass(): void {
    for (const call of this.#timers.splice(0)) call()
  }
}

it('says that nothing uses the key any more when the program and all that it started are gone', async () => {
  const rig = new Rig()
  const ended = rig.run()
  rig.events?.onExited(4)
  rig.events?.onGone()
  expect(await ended).toEqual({ code: 4, errno: undefined })
  expect(rig.story).toEqual(['uses 3', 'no more 3', 'leaves'])
})

it('says nothing where something may be left that the program has started', async () => {
  const [inGroup, onTerminal] = [new Rig(), new Rig()]
  const ended = inGroup.run()
  inGroup.events?.onExited(0)
  expect((await ended).code).toBe(0)
  const onTerminalEnded = onTerminal.run({ isNobodyLeft: () => false })
  onTerminal.events?.onExited(0)
  onTerminal.events?.onGone()
  expect((await onTerminalEnded).code).toBe(0)
  expect([inGroup.story, onTerminal.story]).toEqual([['uses 3', 'lets go'], ['uses 3']])
})

it('ends with the code of the program where the last word is not heard in time', async () => {
  const rig = new Rig()
  let onLeave = (): void => undefined
  const leaving = new Promise<void>((resolve) => {
    onLeave = resolve
  })
  const ended = rig.run({
    leave: () => {
      onLeave()
      return new Promise(() => undefined)
    },
  })
  rig.events?.onExited(9)
  rig.events?.onGone()
  await leaving
  rig.letTimePass()
  expect((await ended).code).toBe(9)
})
