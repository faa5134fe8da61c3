import type { RotationSummary } from '../../api/types.ts'
import { KeyturnError } from '../../core/errors.ts'
import { argument, type CommandModule, type Context } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit.ts'
import { short } from '../text.ts'

type Act = 'pause' | 'resume' | 'abort'

export const pause: CommandModule = { run: (context) => act(context, 'pause') }
export const resume: CommandModule = { run: (context) => act(context, 'resume') }
export const abort: CommandModule = { run: (context) => act(context, 'abort') }

async function act(context: Context, verb: Act): Promise<ExitCode> {
  const name = argument(context, 0)
  const api = await context.api()
  const { rotation } = await api.summary(name)
  // A halted one has not ended: resume and abort are what it waits for.
  if (rotation === null || rotation.endedAt !== null) {
    throw new KeyturnError('rotation_not_running', `no rotation of '${name}' is running`, {
      fix: `Start one with 'keyturn rotate ${name}'.`,
    })
  }
  const after = await api.act(name, rotation.id, verb)
  context.out.result(after, () => [`${name}: rotation ${short(after.id)} is ${stateOf(after, verb)}`])
  return exitCodes.done
}

function stateOf({ isPaused, outcome, phase }: RotationSummary, verb: Act): string {
  if (isPaused) return `paused in ${phase}`
  // What was minted is looked for and thrown away first.
  if (verb === 'abort' && outcome === null) return `being aborted (${phase})`
  return outcome ?? phase
}
